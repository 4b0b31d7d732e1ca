"""A training begun again with each of several remedies."""

import math

import pandas as pd
import pytest
import torch
from torch import nn

from gradscope.errors import GradscopeError
from gradscope.remedies import REMEDIES
from gradscope.scope import RemedyTrials, TrainingSetup, try_remedies
from gradscope.scope._given import Tried


@pytest.fixture(scope="module")
def tried():
    """(setup, weights before, trials of two remedies)."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.LSTM(2, 8))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    data = [torch.randn(20, 4, 2) for _ in range(3)]
    setup = TrainingSetup(model, data, lambda m, x: m(x)[0][-1].square().mean(), learning_rate=0.1)
    scope, _ = setup.run(setup.plan(), 5, 2)
    trials = try_remedies(setup, scope.diagnose(), scope, count=2, updates=3)
    return setup, before, trials


def test_the_users_model_stays_as_it_is(tried):
    setup, before, _ = tried
    for name, value in setup.model.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_first_remedies_of_the_first_findings_are_tried(tried):
    _, _, trials = tried
    first = trials.baseline.findings[0]
    assert first.name == "vanishing"
    suitable = [remedy.name for remedy in trials.baseline.remedies(first)]
    assert (
        list(trials.frame["remedy"])
        == ["", *suitable[:2]]
        == [*("", "lstm_chrono", "lstm_forget_bias")]
    )
    assert trials.frame["loss_first"].nunique() == 3
    assert trials.updates == 3
    assert isinstance(trials, Tried)


def test_every_training_is_that_of_its_plan(tried):
    """The same start and the same data: the losses of a run with the remedy applied by hand."""
    setup, _, trials = tried
    for _, row in trials.frame.iterrows():
        plan = setup.plan()
        if row["remedy"]:
            REMEDIES.make(row["remedy"]).apply(plan)
        _, losses = setup.run(plan, 3, 3)
        assert row["loss_first"] == losses[0]
        assert row["loss_last"] == losses[-1]


def test_in_words(tried):
    _, _, trials = tried
    text = " ".join(str(trials).split())
    assert text.startswith("- as it is: loss ")
    assert text.count("(against as it is × ") == 2
    assert text.count("; gone: ") == text.count("; new: ") == 2
    assert "a small difference says nothing" in text
    assert max(map(len, str(trials).splitlines())) <= 100
    html = trials._repr_html_()
    assert html.count("<tr") == 4
    assert "a small difference says nothing" in html


def trials_of(tried, *losses):
    """Trials with these last losses, the first without a remedy."""
    _, _, trials = tried
    rows = [
        {
            "remedy": "",
            "what": f"<remedy {index}>",
            "loss_first": 1.0,
            "loss_last": loss,
            "findings_gone": "none",
            "findings_new": "none",
        }
        for index, loss in enumerate(losses)
    ]
    return RemedyTrials(trials.baseline, trials.scope, pd.DataFrame(rows), 3, "a caption")


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (0.5, "× 0.5: better"),
        (0.95, "× 0.95: about the same"),
        (2.0, "× 2: worse"),
        (math.inf, "not lower"),
        (0.0, "lower"),
        (-1.0, "lower"),
    ],
)
def test_a_loss_beside_that_of_the_training_as_it_is(tried, loss, words):
    formatted = trials_of(tried, 1.0, loss).formatted()
    assert list(formatted["against as it is"]) == ["", words]
    assert "&lt;remedy 1&gt;" in trials_of(tried, 1.0, loss)._repr_html_()


class Own(nn.Module):
    """Takes the state apart as an LSTM gives it: a GRU in its place would not run."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(2, 8)

    def forward(self, x):
        output, h = self.rnn(x)
        assert torch.is_tensor(h)
        return output


def test_a_remedy_with_which_the_model_does_not_run_is_passed_over():
    """No LSTM's pair of states is taken here, a GRU's one is."""
    torch.manual_seed(0)
    setup = TrainingSetup(Own(), [torch.randn(30, 4, 2)], lambda m, x: m(x)[-1].square().mean())
    scope, _ = setup.run(setup.plan(), 1, 1)
    diagnosis = scope.diagnose()
    names = [remedy.name for remedy in diagnosis.remedies(diagnosis.findings[0])]
    assert {"lstm_chrono", "gru"} <= set(names)
    trials = try_remedies(setup, diagnosis, scope, count=10, updates=1)
    assert "gru" in set(trials.frame["remedy"])
    assert not {"lstm_chrono", "lstm_forget_bias"} & set(trials.frame["remedy"])


def test_remedies_for_the_users_code_cannot_be_tried():
    """A state detached at every step: no copy of the model can undo it."""
    torch.manual_seed(0)
    cell = nn.GRUCell(2, 8)

    def loss(model, x):
        h = torch.zeros(4, 8)
        for step in x:
            h = model(step, h.detach())
        return h.square().mean()

    setup = TrainingSetup(cell, [torch.randn(10, 4, 2)], loss)
    scope, _ = setup.run(setup.plan(), 1, 1)
    diagnosis = scope.diagnose()
    assert [finding.name for finding in diagnosis.findings] == ["detached_steps"]
    with pytest.raises(GradscopeError, match="they are for the model's code"):
        try_remedies(setup, diagnosis, scope, updates=1)


class Dropped(nn.Module):
    """A recurrence whose gradient explodes, and dropout before it."""

    def __init__(self):
        super().__init__()
        self.dropout, self.rnn = nn.Dropout(0.5), nn.RNN(2, 8, nonlinearity="relu")
        with torch.no_grad():
            self.rnn.weight_hh_l0.copy_(2 * torch.eye(8))

    def forward(self, x):
        return self.rnn(self.dropout(x))[0]


def test_every_training_draws_the_same_random_numbers():
    """A clip changes nothing before the first update."""
    torch.manual_seed(0)
    setup = TrainingSetup(Dropped(), [torch.rand(20, 4, 2)], lambda m, x: m(x)[-1].square().mean())
    scope, _ = setup.run(setup.plan(), 1, 1)
    trials = try_remedies(setup, scope.diagnose(), scope, count=10, updates=2)
    losses = trials.frame.set_index("remedy")
    assert losses.loc["clip", "loss_first"] == losses.loc["", "loss_first"]
    assert losses.loc["clip", "loss_last"] != losses.loc["", "loss_last"]
