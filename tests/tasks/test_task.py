"""What tasks inherit: losses, tests in batches, other lengths."""

import pytest
import torch
from torch.nn import functional as F

from gradscope.tasks import TASKS
from tests.tasks._draw import generator, sample


def test_squared_error_is_summed_over_outputs():
    task, batch = sample({"name": "flip_flop", "channels": 3})
    outputs = torch.randn(batch.targets.shape, generator=generator())
    losses = task.score(outputs, batch.targets)
    assert float(losses[4, 7]) == pytest.approx(
        sum(float(outputs[4, 7, i] - batch.targets[4, 7, i]) ** 2 for i in range(3)), rel=1e-5
    )
    assert task.loss_unit == "mean squared error"


def test_cross_entropy_is_in_nats_by_step_and_sequence():
    task, batch = sample("copy_memory")
    outputs = torch.randn(*batch.targets.shape, 9, generator=generator())
    losses = task.score(outputs, batch.targets)
    assert torch.equal(losses[3], F.cross_entropy(outputs[3], batch.targets[3], reduction="none"))
    assert task.loss_unit == "nats"


def test_tests_come_in_batches_that_fit_into_memory():
    batches = TASKS.make({"name": "adding", "length": 5}).test(601, generator())
    assert [batch.inputs.shape[1] for batch in batches] == [250, 250, 101]
    assert not torch.equal(batches[0].inputs, batches[1].inputs)


def test_only_floating_point_numbers_change_their_type():
    _, batch = sample("adding")
    moved = batch.to("cpu", torch.float64)
    assert (moved.inputs.dtype, moved.targets.dtype) == (torch.float64, torch.float64)
    assert torch.equal(moved.steps, batch.steps)
    _, tokens = sample("copy_memory")
    kept = tokens._replace(continues=True).to("cpu", torch.float64)
    assert kept.continues
    assert (kept.inputs.dtype, kept.targets.dtype) == (torch.long, torch.long)


def test_at_length_checks_the_length_and_keeps_the_other_options():
    with pytest.raises(ValueError, match="at least 10"):
        TASKS.make({"name": "adding", "length": 20, "placement": "pascanu"}).at_length(5)
    uniform = TASKS.make({"name": "adding", "length": 20, "placement": "uniform"}).at_length(7)
    assert (uniform.nominal_length, uniform.placement) == (7, "uniform")
    assert TASKS.make("digits").nominal_length is None
