"""The sweep back through the steps, against autograd on the plain unroll."""

import math

import pytest
import torch

from gradscope.dynamics.steps import Steps
from gradscope.errors import GradscopeError
from gradscope.unrolls._losses import Loss
from gradscope.unrolls._sweep import _Sum, swept
from tests.conftest import draw


def test_every_horizon_is_what_autograd_finds_alone():
    w = draw(3, 3)
    steps = Steps(lambda s: (s @ w.T).tanh(), draw(4, 3, seed=1), 9)
    found = swept(steps, Loss("mean_square", steps.packing, 0), [0, 1, 5, 9], [], 0)
    for place, length in enumerate([0, 1, 5, 9]):
        s = start = steps.start.clone().requires_grad_()
        for _ in range(length):
            s = (s @ w.T).tanh()
        loss = s.square().mean(-1)
        (expected,) = torch.autograd.grad(loss.sum(), start)
        values = found.vectors[place] * found.log_scale[place].exp()[:, None]
        torch.testing.assert_close(values, expected)
        torch.testing.assert_close(found.losses[place], loss.detach())


def test_horizons_may_end_before_the_run():
    steps = Steps(lambda s: 0.5 * s, draw(2, 3), 6)
    found = swept(steps, Loss("projection", steps.packing, 0), [2], [], 0)
    torch.testing.assert_close(
        found.log_norms(), torch.full((1, 2), 2 * math.log(0.5), dtype=torch.float64)
    )
    assert found.growth.shape == (6, 2)


def test_sums_of_any_scale():
    total = _Sum(torch.zeros(2, 1, 1, dtype=torch.float64))
    one = torch.ones(2, 1, 1, dtype=torch.float64)
    for scale in (-2000.0, -1000.0, -1000.0, -math.inf):
        logs = torch.full((2, 1), scale, dtype=torch.float64)
        total.add(slice(0, 2), one * (scale > -math.inf), logs)
    assert (total.vectors.abs().log()[..., 0] + total.log_scale)[0].item() == pytest.approx(
        -1000 + math.log(2)
    )


class Sour(torch.autograd.Function):
    """Cannot be differentiated once the state is small."""

    @staticmethod
    def forward(ctx, x):
        ctx.small = bool((x.abs() < 0.1).all())
        return x * 0.5

    @staticmethod
    def backward(ctx, grad):
        if ctx.small:
            raise RuntimeError("no derivative here")
        return grad * 0.5


def test_a_step_that_fails_on_the_way_back_says_where():
    steps = Steps(Sour.apply, torch.ones(2, 1, dtype=torch.float64), 6)
    with pytest.raises(GradscopeError, match="at t = 6: no derivative here"):
        swept(steps, Loss("projection", steps.packing, 0), [6], [], 0)
