"""The training loop: the gradients it applies, what it records, how it ends."""

import math

import pytest
import torch

from gradscope import adjoints
from gradscope.experiment import schema as config
from gradscope.experiment.train import _Run, run_trial

BASE = """
task: {name: copy_memory, length: 4}
cell: {name: gru, hidden_size: 5}
dtype: float64
training: {steps: 5, batch_size: 3}
evaluation: {every: 2, sequences: 10}
"""


def trial(text: str = "", **overrides):
    return config.parse(BASE + text, overrides=overrides).trials[0]


def total_gradient(run: _Run, batch) -> dict[str, torch.Tensor]:
    total = {name: torch.zeros_like(p) for name, p in run.named.items()}
    for loss in run._losses(batch):
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
    """At fixed weights the windows' gradients add up to sum_t a_t d+s_t/dW, a_t the truncated
    adjoint.
    """
    run = _Run(
        trial(**{"training.tbptt_length": length, "training.tbptt_stride": stride}),
        "cpu",
        lambda *_: None,
    )
    batch = run._next()
    ours = total_gradient(run, batch)
    trace = run.model.trace(batch)
    a = adjoints(trace, tbptt=(length, stride or length)).values()
    cell = run.model.stack.layers[0]
    states = cell(
        trace.inputs, trace.states[:-1].detach()
    )  # every step by itself: the immediate derivative d+
    expected = torch.autograd.grad((states * a[1:]).sum(), list(cell.parameters()))
    for (name, _), gradient in zip(cell.named_parameters(), expected, strict=True):
        torch.testing.assert_close(ours[f"stack.cells.0.{name}"], gradient, rtol=0, atol=1e-12)


def test_full_bptt_is_autograd():
    run = _Run(trial(), "cpu", lambda *_: None)
    batch = run._next()
    ours = total_gradient(run, batch)
    net = run.model
    states = net.stack.unroll(net.embed(batch.inputs), net.stack.initial_state(3))
    loss = net.task.score(
        net.readout(net.stack.hidden(states[1:])[batch.steps]), batch.targets
    ).mean()
    for name, gradient in zip(
        run.named, torch.autograd.grad(loss, list(run.named.values())), strict=True
    ):
        torch.testing.assert_close(ours[name], gradient, rtol=0, atol=1e-12)


def test_probes_leave_the_training_bit_identical():
    with_probes = run_trial(
        trial(
            "probes: [grad_norms, adjoint_norms, jacobian_norms, memory_horizon, spectra,"
            " saturation]"
        )
    )
    # the trial's id depends on its probes, so take the seeds of the one with probes
    bare = trial("probes: []")
    object.__setattr__(bare, "id", trial().id)
    without = run_trial(bare)
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


def test_the_same_trial_gives_the_same_tables():
    first, second = run_trial(trial()).tables, run_trial(trial()).tables
    assert repr(first) == repr(second)  # repr, as NaN is not equal to itself


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


def test_probe_schedule_and_gradients():
    tables = run_trial(
        trial("probes: [{name: grad_norms, every: 2}]\nclip: {name: global_norm, max_norm: 0.001}")
    ).tables
    table = tables["grad_norms"]
    assert sorted(set(table["train_step"])) == [0, 2, 4, 5]
    for step in (0, 2, 4):
        rows = [i for i, s in enumerate(table["train_step"]) if s == step]
        for column, of in (
            ("grad_norm_preclip", "grad_norm_preclip"),
            ("grad_norm_postclip", "grad_norm_postclip"),
        ):
            assert math.sqrt(sum(table[column][i] ** 2 for i in rows)) == pytest.approx(
                tables["training"][of][step]
            )


def test_divergence_is_an_outcome_with_its_step_and_cause():
    outcome = run_trial(
        trial(
            "optimizer: {name: sgd, lr: 1e300}",
            **{"cell": {"name": "rnn", "activation": "identity"}},
        )
    )
    row = {name: values[0] for name, values in outcome.tables["trials"].items()}
    assert row["outcome"] == "diverged"
    assert row["steps"] >= 1
    assert "loss is" in row["cause"] or "norm is" in row["cause"]
    assert len(outcome.tables["training"]["loss"]) == row["steps"]
    assert outcome.tables["evaluation"]["train_step"][0] == 0


def test_success_stops_the_training():
    easy = (
        "task: {name: adding, length: 2}\ncell: gru\noptimizer: {name: adam, lr: 0.01}\n"
        "training: {steps: 3000}\nevaluation: {every: 20, sequences: 100, lengths: [3]}\nprobes: []"
    )
    outcome = run_trial(config.parse(easy).trials[0])
    row = {name: values[0] for name, values in outcome.tables["trials"].items()}
    assert row["outcome"] == "solved"
    assert row["steps"] == row["steps_to_solve"] < 3000
    assert row["final_loss"] < 0.01
    assert outcome.tables["lengths"]["length"] == [3]
    on = run_trial(
        config.parse(
            easy.replace("3000", "900, stop_on_success: false").replace("every: 20", "every: 50")
        ).trials[0]
    )
    assert on.tables["trials"]["steps"] == [900]
    assert on.tables["trials"]["steps_to_solve"][0] < 900


def test_windows_without_a_loss_carry_the_state_and_take_no_step():
    one = config.parse(
        "task: {name: adding, length: 10}\ncell: lstm\ntraining: {steps: 4, tbptt_length: 3}\n"
        "evaluation: {sequences: 10}\nprobes: []"
    ).trials[0]
    assert run_trial(one).tables["training"]["train_step"] == [0, 1, 2, 3]
    run = _Run(one, "cpu", lambda *_: None)
    batch = run._next()
    losses = list(run._losses(batch))
    assert len(losses) == 1
    torch.testing.assert_close(
        losses[0], run.model.task.score(run.model(batch), batch.targets).mean()
    )


def test_float32_and_float64_start_from_the_same_weights():
    a = _Run(trial(), "cpu", lambda *_: None)
    from gradscope.experiment.model import build

    b = build(
        a.settings.model_copy(update={"dtype": "float32"}),
        generator=torch.Generator().manual_seed(trial().seed_of("weights")),
    )
    for p, q in zip(a.model.parameters(), b.parameters(), strict=True):
        assert torch.equal(p.float(), q)
