"""Truncated BPTT: windows, random cuts, and the state that goes from batch to batch."""

import itertools
import math
from itertools import islice

import pytest
import torch

from gradscope.dynamics import adjoints
from gradscope.experiment import Experiment
from gradscope.experiment.train import run_trial
from gradscope.experiment.training import Training
from gradscope.tasks import Batch

COPY = """
task: {name: copy_memory, length: 4}
cell: {name: gru, hidden_size: 5}
dtype: float64
training: {steps: 5, batch_size: 3}
evaluation: {every: 2, sequences: 10}
"""
ADDING = """
task: {name: adding, length: 12}
cell: {name: rnn, hidden_size: 5}
dtype: float64
probes: []
"""


def training(text: str, **overrides: object) -> Training:
    trial = Experiment.parse(text, overrides=overrides).trials[0]
    return Training(trial, torch.device("cpu"), lambda *_: None)


def total_gradient(run: Training, batch: Batch) -> dict[str, torch.Tensor]:
    total = {name: torch.zeros_like(p) for name, p in run.named.items()}
    for loss in run.windows.losses(batch):
        for (name, _), g in zip(
            run.named.items(),
            torch.autograd.grad(loss, list(run.named.values()), allow_unused=True),
            strict=True,
        ):
            total[name] += g if g is not None else 0
    return total


@pytest.mark.parametrize(
    ("length", "stride"), [(24, None), (30, 30), (6, 6), (6, 1), (6, 4), (1, 1), (24, 5)]
)
def test_truncated_gradients_are_the_truncated_adjoints(length, stride):
    """At fixed weights the windows' gradients add up to sum_t a_t d+s_t/dW, a_t truncated."""
    run = training(COPY, **{"training.tbptt_length": length, "training.tbptt_stride": stride})
    batch = run.next_batch()
    ours = total_gradient(run, batch)
    trace = run.model.trace(batch)
    a = adjoints(trace, tbptt=(length, stride or length)).values()
    cell = run.model.stack.layers[0]
    # every step by itself: the immediate derivative d+
    states = cell(trace.inputs, trace.states[:-1].detach())
    expected = torch.autograd.grad((states * a[1:]).sum(), list(cell.parameters()))
    for (name, _), gradient in zip(cell.named_parameters(), expected, strict=True):
        torch.testing.assert_close(ours[f"stack.cells.0.{name}"], gradient, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("length", "stride"), [(6, 1), (6, 4), (24, 5)])
def test_windows_do_not_change_what_is_computed_forward(length, stride):
    """At fixed weights the losses of all windows add up to the loss of the whole."""
    run = training(COPY, **{"training.tbptt_length": length, "training.tbptt_stride": stride})
    batch = run.next_batch()
    total = sum(float(loss.detach()) for loss in run.windows.losses(batch))
    whole = run.model.task.score(run.model(batch), batch.targets).mean()
    assert total == pytest.approx(float(whole.detach()), abs=1e-12)


def test_windows_without_a_loss_carry_the_state_and_take_no_step():
    text = (
        "task: {name: adding, length: 10}\ncell: lstm\ntraining: {steps: 4, tbptt_length: 3}\n"
        "evaluation: {sequences: 10}\nprobes: []"
    )
    trial = Experiment.parse(text).trials[0]
    assert run_trial(trial).tables["training"]["train_step"] == [0, 1, 2, 3]
    run = training(text)
    batch = run.next_batch()
    losses = list(run.windows.losses(batch))
    assert len(losses) == 1
    torch.testing.assert_close(
        losses[0], run.model.task.score(run.model(batch), batch.targets).mean()
    )


def test_training_carries_the_state_from_batch_to_batch(text_file):
    """Stateful batches give the losses of one sequence as long as all of them, at fixed weights."""
    run = training(
        f"task: {{name: char_lm, corpus: '{text_file}', length: 10}}\ncell: {{name: lstm,"
        " hidden_size: 5}\ndtype: float64\ntraining: {batch_size: 3}\nprobes: []"
    )
    batches, losses = [], []
    for batch, loss in islice(run.updates(), 3):
        batches.append(batch)
        losses.append(loss.item())
    whole = batches[0]._replace(
        inputs=torch.cat([b.inputs for b in batches]),
        steps=torch.arange(30),
        targets=torch.cat([b.targets for b in batches]),
    )
    with torch.no_grad():
        scores = run.model.task.score(run.model(whole), whole.targets)
    assert losses == pytest.approx(scores.view(3, 10, 3).mean((1, 2)).tolist(), abs=1e-12)


def test_a_batch_that_does_not_go_on_begins_with_zero():
    run = training(ADDING, **{"training.batch_size": 3})
    for batch, _ in islice(run.updates(), 2):
        assert not batch.continues
        assert (run.windows.start == 0).all()


# --- random truncation ----------------------------------------------------------------------------

CHANCE = 0.2


def pair(length: int, options: str) -> tuple[Training, Training, Batch]:
    """A truncated training, a plain one of the same weights, and a batch that both have begun."""
    overrides = {"task.length": length}
    run = training(ADDING + f"training: {{batch_size: 3, {options}}}", **overrides)
    plain = training(ADDING + "training: {batch_size: 3}", **overrides)
    plain.model.load_state_dict(run.model.state_dict())
    batch = run.next_batch()
    plain.windows.begin(batch)
    return run, plain, batch


def test_artbp_is_unbiased(monkeypatch):
    """The mean over all patterns of cuts, each with its probability, is the full gradient."""
    run, plain, batch = pair(5, f"tbptt_random: {CHANCE}")
    full = total_gradient(plain, batch)
    expected = {name: torch.zeros_like(gradient) for name, gradient in full.items()}
    total = 0.0
    for cuts in itertools.product([True, False], repeat=5):
        numbers = iter([torch.tensor(0.0 if cut else 1.0) for cut in cuts])
        monkeypatch.setattr(torch, "rand", lambda *_, numbers=numbers, **__: next(numbers))
        probability = math.prod(CHANCE if cut else 1 - CHANCE for cut in cuts)
        for name, gradient in total_gradient(run, batch).items():
            expected[name] += probability * gradient
        total += probability
    assert total == pytest.approx(1)
    for name, gradient in full.items():
        torch.testing.assert_close(expected[name], gradient, rtol=0, atol=1e-12)


def test_artbp_cuts_at_random_with_its_chance():
    run, _, _ = pair(12, f"tbptt_random: {CHANCE}")
    adjoint = torch.ones(1, 5, dtype=torch.float64)
    passed = torch.stack([run.windows._rule()(adjoint)[0, 0] for _ in range(5000)])
    assert set(passed.tolist()) == {0.0, 1 / (1 - CHANCE)}
    assert abs(float((passed == 0).double().mean()) - CHANCE) < 4.5 * (0.16 / 5000) ** 0.5


def test_a_plain_truncation_is_biased():
    """The same comparison fails for a fixed cut, so it can tell one from the other."""
    run, plain, batch = pair(12, "tbptt_length: 5")
    name = "stack.cells.0.weight_hh"
    truncated, full = total_gradient(run, batch)[name], total_gradient(plain, batch)[name]
    assert (truncated - full).norm() > 0.01 * full.norm()
