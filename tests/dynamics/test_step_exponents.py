"""Exponents of any step, against closed forms, published values and the dense way."""

import math

import pytest
import torch

import gradscope
from gradscope.dynamics import linearisation, lyapunov_exponents, lyapunov_spectrum, step_jacobians
from gradscope.errors import GradscopeError
from tests.conftest import draw


def henon(s):
    x, y = s.unbind(-1)
    return torch.stack((1 - 1.4 * x**2 + y, 0.3 * x), dim=-1)


def lorenz(s, dt=0.01):
    def flow(s):
        x, y, z = s.unbind(-1)
        return torch.stack((10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z), dim=-1)

    first = flow(s)
    second = flow(s + dt / 2 * first)
    third = flow(s + dt / 2 * second)
    fourth = flow(s + dt * third)
    return s + dt / 6 * (first + 2 * second + 2 * third + fourth)


def test_orthogonal_with_gain():
    w = 1.3 * torch.linalg.qr(draw(6, 6))[0]
    found = lyapunov_exponents(lambda s: s @ w.T, draw(2, 6), 200, k=3)
    expected = torch.full((3,), math.log(1.3), dtype=torch.float64)
    torch.testing.assert_close(found.exponents, expected, rtol=0, atol=1e-12)
    assert found.finite_time.shape == (2, 3)


def test_henon_keeps_the_sum_that_its_determinant_gives():
    """det J = -0.3 everywhere; the first exponent is published as 0.4192 (Sprott 2003)."""
    found = lyapunov_exponents(henon, 0.1 * draw(50, 2), 400, k=2)
    torch.testing.assert_close(
        found.finite_time.sum(-1), torch.full((50,), math.log(0.3), dtype=torch.float64)
    )
    low, high = found.intervals[0].tolist()
    assert low < 0.4192 < high
    assert high - low < 0.05
    assert found.sequence_intervals.shape == (50, 2, 2)


@pytest.mark.slow
def test_lorenz_exponents_are_those_published():
    """0.9056, 0, -14.5723 per unit of time (Sprott 2003)."""
    start = draw(100, 3) + torch.tensor([0.0, 0.0, 25.0])
    found = lyapunov_exponents(lorenz, start, 6000, k=3, burn_in=1000)
    for value, error, published in zip(
        100 * found.exponents, 100 * found.standard_errors, (0.9056, 0.0, -14.5723), strict=True
    ):
        # the flow's own exponent of 0 converges as 1/T, more slowly than its blocks show
        assert abs(value - published) < 4 * error + 0.01


@pytest.mark.parametrize("small", [0, 2**15])
def test_a_module_has_the_exponents_of_its_dense_jacobians(small, monkeypatch):
    """Both ways to a product: in forward mode, and by two backward passes."""
    monkeypatch.setattr(linearisation, "_SMALL", small)
    cell = torch.nn.GRUCell(3, 6).double()
    x = draw(40, 2, 3)
    trace = gradscope.unroll(gradscope.convert(cell), x)
    found = lyapunov_exponents(
        lambda s, x: cell(x, s), trace.states[0].detach(), 40, k=3, inputs=x, interval=1
    )
    expected = lyapunov_spectrum(step_jacobians(trace), k=3, interval=1)
    torch.testing.assert_close(found.finite_time, expected.finite_time, rtol=0, atol=1e-9)
    torch.testing.assert_close(found.intervals, expected.intervals, rtol=0, atol=1e-9)
    assert found.times == expected.times


def test_nests_and_single_starts_are_the_same_state():
    w = draw(5, 5)
    flat = lyapunov_exponents(lambda s: (s @ w.T).tanh(), draw(1, 5), 50, k=2)

    def step(state):
        s = torch.cat((state["a"], state["b"][0])) @ w.T
        return {"a": s[:2].tanh(), "b": (s[2:].tanh(),)}

    start = draw(1, 5)[0]
    nested = lyapunov_exponents(step, {"a": start[:2], "b": (start[2:],)}, 50, k=2, batched=False)
    torch.testing.assert_close(nested.exponents, flat.exponents, rtol=1e-9, atol=0)


def test_a_shift_ends_at_minus_infinity():
    shift = torch.diag(torch.ones(4, dtype=torch.float64), -1)
    found = lyapunov_exponents(lambda s: s @ shift.T, draw(2, 5), 20, k=2, burn_in=0)
    assert (found.exponents == -math.inf).all()
    assert found.series[0].isfinite().all()


def test_a_long_state_takes_the_memory_of_its_tangents():
    """50,000 numbers: a Jacobian would take 20 GB."""
    rates = torch.full((50_000,), 0.5, dtype=torch.float64)
    found = lyapunov_exponents(lambda s: rates * s, torch.ones(1, 50_000).double(), 6, k=3)
    torch.testing.assert_close(
        found.exponents, torch.full((3,), math.log(0.5), dtype=torch.float64), rtol=0, atol=1e-12
    )
    assert found.size == 50_000


class Once(torch.autograd.Function):
    """x^2 without a forward mode, and without a second derivative."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        return 2 * ctx.saved_tensors[0] * grad


def test_a_step_without_products_is_refused():
    with pytest.raises(GradscopeError, match="it has neither"):
        lyapunov_exponents(Once.apply, draw(2, 3), 4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"k": 3}, r"k should be 1\.\.2"),
        ({"burn_in": 9}, "leaves nothing"),
        ({"blocks": 0}, "blocks"),
    ],
)
def test_errors_name_the_cause(wrong, message):
    with pytest.raises(GradscopeError, match=message):
        lyapunov_exponents(henon, 0.1 * draw(2, 2), 9, **wrong)
