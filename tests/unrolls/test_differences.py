"""Central differences: exact where they should be, unknown where they are rounding."""

import numpy as np
import pytest
import torch

import gradscope
from gradscope.dynamics.steps import Steps
from gradscope.unrolls._differences import compared, directions, size_of
from gradscope.unrolls._losses import Loss
from gradscope.unrolls._sweep import swept
from tests.conftest import draw


def held(step, start, time, radius, loss="projection"):
    steps = Steps(step, start, time)
    of = Loss(loss, steps.packing, 0)
    gradients = swept(steps, of, [time], [], 0)
    return compared(steps, of, [time], [], gradients, directions(steps, [], 3, 0), radius)


def test_a_linear_loss_agrees_at_any_radius():
    found = held(lambda s: 2 * s, draw(4, 3), 5, 10.0)
    assert (found.agreed == 3).all()
    assert (found.known == 3).all()
    assert (found.error < 1e-12).all()


def test_a_difference_over_a_wave_is_that_of_the_average():
    """(sin(x + r) - sin(x - r)) / 2 r = cos(x) sin(r) / r: the sign turns with that of sin(r)."""
    start = draw(50, 1)
    near, far = (held(torch.sin, start, 1, radius) for radius in (1e-6, 4.0))
    assert (near.agreed == near.known).all()
    assert (near.known == 3).all()
    assert (far.agreed == 0).all()


def test_rounding_is_not_a_sign():
    found = held(lambda s: 1 + 1e-12 * s, draw(4, 2), 1, 1e-8)
    assert (found.known == 0).all()
    assert found.error.isnan().all()


def test_a_run_that_is_lost_has_no_sign():
    step = torch.nn.Module()
    step.forward = lambda s: s.sqrt()
    found = gradscope.horizon(step, torch.full((4, 1), 0.5), 2, scale=4.0)
    assert (found.signs.known[1:] == 0).all()
    assert np.isfinite(found.log_norms).all()


def test_parameters_are_moved_and_put_back():
    weight = torch.nn.Parameter(draw(2, 2))
    before = weight.detach().clone()
    steps = Steps(lambda s: s @ weight, draw(3, 2, seed=1), 2)
    of = Loss("mean_square", steps.packing, 0)
    gradients = swept(steps, of, [2], [weight], 0)
    along = directions(steps, [weight], 4, 0)
    assert along.shape == (4, 1, 4)
    found = compared(steps, of, [2], [weight], gradients, along, 1e-5)
    assert (found.agreed == 4).all()
    assert (found.error < 1e-6).all()
    assert torch.equal(weight.detach(), before)
    assert size_of(steps, [weight]) == pytest.approx(float(before.norm()))


def test_sizes_and_directions():
    steps = Steps(lambda s: s * 2, torch.zeros(5, 3), 1)
    assert size_of(steps, []) == 1.0
    along = directions(steps, [], 2, 0)
    torch.testing.assert_close(along.norm(dim=-1), torch.ones(2, 5, dtype=torch.float64))
    assert not torch.equal(along[0, 0], along[0, 1])
