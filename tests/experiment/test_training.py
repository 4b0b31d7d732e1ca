"""The training loop: the gradients it applies, what it records, how it ends."""

import math

import pytest
import torch
from safetensors.torch import load

from gradscope.experiment import Experiment, Trial, seeding
from gradscope.experiment.model import build
from gradscope.experiment.train import run_trial
from gradscope.experiment.training import Training

BASE = """
task: {name: copy_memory, length: 4}
cell: {name: gru, hidden_size: 5}
dtype: float64
training: {steps: 5, batch_size: 3}
evaluation: {every: 2, sequences: 10}
"""


def trial(text: str = "", **overrides: object) -> Trial:
    return Experiment.parse(BASE + text, overrides=overrides).trials[0]


def training(text: str = "", **overrides: object) -> Training:
    return Training(trial(text, **overrides), torch.device("cpu"), lambda *_: None)


# --- the gradient ---------------------------------------------------------------------------------


def test_full_bptt_is_autograd():
    run = training()
    batch, loss = next(run.updates())
    run.differentiate(loss)
    net = run.model
    states = [net.stack.initial_state(3)]
    for x in net.embed(batch.inputs):
        states.append(net.stack(x, states[-1]))
    outputs = net.readout(net.stack.hidden(torch.stack(states[1:]))[batch.steps])
    loss = net.task.score(outputs, batch.targets).mean()
    gradients = torch.autograd.grad(loss, list(run.named.values()))
    for parameter, gradient in zip(run.named.values(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=1e-12)


def test_an_update_is_the_optimisers_step_on_the_clipped_gradient():
    """Plain SGD written out: w <- w - lr g min(1, max_norm / ||g||)."""
    run = training(
        "optimizer: {name: sgd, lr: 0.5}\nclip: {name: global_norm, max_norm: 0.01}\nprobes: []"
    )
    before = {name: p.detach().clone() for name, p in run.named.items()}
    batch, loss = next(run.updates())
    gradients = torch.autograd.grad(loss, list(run.named.values()), retain_graph=True)
    norm = torch.cat([g.flatten() for g in gradients]).norm()
    run.step(batch, loss)
    assert norm > 0.01
    for (name, after), gradient in zip(run.named.items(), gradients, strict=True):
        expected = before[name] - 0.5 * gradient * (0.01 / norm)
        torch.testing.assert_close(after.detach(), expected, rtol=0, atol=1e-12)


def test_what_is_recorded_of_the_clip():
    table = run_trial(trial("clip: {name: global_norm, max_norm: 0.001}")).tables["training"]
    assert table["train_step"] == [0, 1, 2, 3, 4]
    for before, after, coefficient in zip(
        table["grad_norm_preclip"],
        table["grad_norm_postclip"],
        table["clip_coefficient"],
        strict=True,
    ):
        assert after == pytest.approx(0.001)
        assert coefficient == pytest.approx(0.001 / before)


# --- probes ---------------------------------------------------------------------------------------


def test_probes_leave_the_training_bit_identical():
    with_probes = run_trial(
        trial(
            "probes: [grad_norms, adjoint_norms, jacobian_norms, memory_horizon, spectra,"
            " saturation]"
        )
    )
    without = run_trial(trial("probes: [none]"))
    assert with_probes.tables["training"] == without.tables["training"]
    assert with_probes.tables["evaluation"] == without.tables["evaluation"]
    assert set(with_probes.tables) - set(without.tables) == {
        "grad_norms",
        "adjoint_norms",
        "jacobian_norms",
        "memory_horizon",
        "spectra",
        "saturation",
    }


def test_probe_schedule_and_gradients():
    tables = run_trial(
        trial("probes: [{name: grad_norms, every: 2}]\nclip: {name: global_norm, max_norm: 0.001}")
    ).tables
    table = tables["grad_norms"]
    assert sorted(set(table["train_step"])) == [0, 2, 4, 5]
    for step in (0, 2, 4):
        rows = [i for i, s in enumerate(table["train_step"]) if s == step]
        for column in ("grad_norm_preclip", "grad_norm_postclip"):
            assert math.sqrt(sum(table[column][i] ** 2 for i in rows)) == pytest.approx(
                tables["training"][column][step]
            )


# --- what is recorded -----------------------------------------------------------------------------


def test_the_same_trial_gives_the_same_tables():
    short = {"training.steps": 2}
    first, second = run_trial(trial(**short)).tables, run_trial(trial(**short)).tables
    assert repr(first) == repr(second)  # repr, as NaN is not equal to itself


def test_evaluations_are_at_the_start_on_schedule_and_at_the_end():
    bare = "probes: []"
    assert run_trial(trial(bare)).tables["evaluation"]["train_step"] == [0, 2, 4, 5]
    even = run_trial(trial(bare, **{"training.steps": 4})).tables["evaluation"]
    assert even["train_step"] == [0, 2, 4]


def test_progress_is_told_after_every_step():
    told = []
    outcome = run_trial(trial("probes: []"), progress=lambda *report: told.append(report))
    losses = outcome.tables["training"]["loss"]
    assert told == [(step, 5, loss) for step, loss in enumerate(losses, start=1)]


def test_weights_are_kept_where_asked_for():
    bare = "probes: []"
    assert run_trial(trial(bare)).weights is None
    kept = trial(bare, **{"training.save_weights": True})
    run = Training(kept, torch.device("cpu"), lambda *_: None)
    state = load(run.run().weights)
    assert set(state) == set(run.model.state_dict())
    for name, value in run.model.state_dict().items():
        assert torch.equal(state[name], value)


def test_float32_and_float64_start_from_the_same_weights():
    a = training()
    b = build(
        a.settings.model_copy(update={"dtype": "float32"}),
        generator=seeding.weights(a.settings.seed),
    )
    for p, q in zip(a.model.parameters(), b.parameters(), strict=True):
        assert torch.equal(p.float(), q)


# --- how it ends ----------------------------------------------------------------------------------


def only_row(table: dict[str, list[object]]) -> dict[str, object]:
    return {name: values[0] for name, values in table.items()}


def test_divergence_is_an_outcome_with_its_step_and_cause():
    outcome = run_trial(
        trial(
            "optimizer: {name: sgd, lr: 1e300}",
            **{"cell": {"name": "rnn", "activation": "identity"}},
        )
    )
    row = only_row(outcome.tables["trials"])
    assert row["outcome"] == outcome.fate == "diverged"
    assert row["steps"] >= 1
    assert "loss is" in row["cause"] or "norm is" in row["cause"]
    assert len(outcome.tables["training"]["loss"]) == row["steps"]
    assert outcome.tables["evaluation"]["train_step"][0] == 0


EASY = (
    "task: {name: latch, length: 4}\ncell: gru\noptimizer: {name: adam, lr: 0.01}\n"
    "training: {steps: 500}\nevaluation: {every: 5, sequences: 100, lengths: [6]}\nprobes: []"
)


def test_success_stops_the_training():
    outcome = run_trial(Experiment.parse(EASY).trials[0])
    row = only_row(outcome.tables["trials"])
    assert row["outcome"] == outcome.fate == "solved"
    assert 0 < row["steps"] == row["steps_to_solve"] < 500
    assert row["wrong_fraction"] < 0.01
    assert row["final_loss"] < row["baseline"] == math.log(2)
    assert outcome.tables["lengths"]["length"] == [6]


def test_success_does_not_stop_a_training_that_is_told_to_go_on():
    text = EASY.replace("500", "100, stop_on_success: false")
    row = only_row(run_trial(Experiment.parse(text).trials[0]).tables["trials"])
    assert row["steps"] == 100
    assert row["steps_to_solve"] < 100


def test_a_trial_out_of_steps_is_unsolved():
    row = only_row(run_trial(trial("probes: []")).tables["trials"])
    assert row["outcome"] == "unsolved"
    assert row["steps"] == 5
    assert math.isnan(row["steps_to_solve"])
    assert row["parameters"] == sum(p.numel() for p in training().model.parameters())
