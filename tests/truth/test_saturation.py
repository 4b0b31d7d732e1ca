"""Slopes of saturated units, and the gradients made of them, against many digits."""

import copy
import math

import mpmath
import pytest
import torch

from gradscope.cells import CELLS
from gradscope.dynamics import ACTIVATIONS, adjoints, jacobian_log_norms, step_jacobians, unroll
from tests.conftest import build, draw

#: phi of the activations, to any number of digits
EXACT = {
    "tanh": mpmath.tanh,
    "sigmoid": lambda u: 1 / (1 + mpmath.exp(-u)),
    "softplus": lambda u: mpmath.log(1 + mpmath.exp(u)),
    "softsign": lambda u: u / (1 + abs(u)),
    "erf": mpmath.erf,
    "elu": lambda u: u if u > 0 else mpmath.expm1(u),
    "selu": lambda u: (
        mpmath.mpf("1.0507009873554804934193349852946")
        * (u if u > 0 else mpmath.mpf("1.6732632423543772848170429916717") * mpmath.expm1(u))
    ),
    "gelu": lambda u: u * mpmath.ncdf(u),
    "silu": lambda u: u / (1 + mpmath.exp(-u)),
}
#: to what |u| the slopes of each dtype are above its smallest normal number
REACH = {torch.float32: 40.0, torch.float64: 340.0}
SQUARED = {torch.float32: 9.0, torch.float64: 26.0}  # of those that fall like exp(-u^2)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", REACH)
@pytest.mark.parametrize("name", EXACT)
def test_slopes_keep_their_digits_to_the_end_of_the_dtype(name, dtype):
    reach = (SQUARED if name in ("erf", "gelu") else REACH)[dtype]
    u = torch.linspace(-reach, reach, 400, dtype=dtype)
    activation = ACTIVATIONS[name]
    slopes = activation.derivative(u, activation(u))
    with mpmath.workdps(400):
        exact = [mpmath.diff(EXACT[name], mpmath.mpf(value)) for value in u.tolist()]
        errors = [
            float(abs(mpmath.mpf(slope) - truth) / abs(truth))
            for slope, truth in zip(slopes.tolist(), exact, strict=True)
        ]
    # exp(x) of x good to eps |x|, and of gelu, whose slope crosses zero, what is left beside that
    worst = 8 * torch.finfo(dtype).eps * max(1, reach if name != "erf" else reach**2)
    errors = sorted(errors)
    assert errors[-1 if name not in ("gelu", "silu") else -4] <= worst


def test_autograd_has_lost_them():
    """What the closed forms are for: torch computes 1 - tanh(u)^2, which is 0 here."""
    u = torch.tensor([10.0], requires_grad=True)
    (slow,) = torch.autograd.grad(torch.tanh(u).sum(), u)
    assert float(slow) == 0
    ours = float(ACTIVATIONS["tanh"].derivative(u.detach(), torch.tanh(u.detach())))
    assert math.log(ours) == pytest.approx(math.log(4) - 20, abs=1e-6)


def saturated(name):
    """(a cell with weights that saturate it in float32, the same in float64)."""
    narrow = build(name, 3, 4).float()
    with torch.no_grad():
        for parameter in narrow.parameters():
            parameter.mul_(6.0)
    return narrow, copy.deepcopy(narrow).double()


#: all that have gates, or a nonlinearity between states
GATED = [name for name in CELLS.names() if name not in ("lru", "diagonal_ssm")]


@pytest.mark.parametrize("name", GATED)
def test_jacobians_in_float32_are_those_of_float64(name):
    """Entry by entry, at the very states that float32 went through."""
    narrow, wide = saturated(name)
    trace = unroll(narrow, 3 * draw(20, 4, 3).float())
    states, inputs = trace.states.detach().double(), trace.inputs.double()
    exact = wide.jacobian(inputs, states[:-1], states[1:])
    ours = step_jacobians(trace).double()
    large = exact.abs() > 1e-30
    assert large.any()
    errors = ((ours - exact).abs() / exact.abs())[large]
    # entries are sums of terms that may cancel, or differences such as h - n: few lose much
    assert float(errors.quantile(0.9)) < 1e-4
    logs = jacobian_log_norms(ours, lags=[1, 5], norm="frobenius")
    truth = jacobian_log_norms(exact, lags=[1, 5], norm="frobenius")
    torch.testing.assert_close(logs, truth, rtol=0, atol=2e-3)


@pytest.mark.parametrize("shift", [10.0, 20.0, 35.0])
def test_the_adjoint_of_a_saturated_tanh_layer(shift):
    """s_t = tanh(w s_{t-1} + b) of one unit: ln |a_0| is a sum of logarithms of slopes."""
    cell = build("rnn", 1, 1).float()
    with torch.no_grad():
        cell.weight_hh.fill_(0.5)
        cell.weight_ih.zero_()
        cell.bias_ih.fill_(shift)
        cell.bias_hh.zero_()
    trace = unroll(cell, torch.zeros(60, 1, 1))
    log_norm = float(adjoints(trace, trace.states[-1].sum(-1)[None]).log_norms()[0, 0])
    with mpmath.workdps(60):
        state, total = mpmath.mpf(0), mpmath.mpf(0)
        for _ in range(60):
            u = state / 2 + shift
            state, total = mpmath.tanh(u), total + mpmath.log(mpmath.sech(u) ** 2 / 2)
    assert log_norm == pytest.approx(float(total), rel=1e-5)


@pytest.mark.parametrize("name", ["lstm", "lstm_variant", "gru", "rnn"])
def test_adjoints_in_float32_are_those_of_float64(name):
    """Through the fast passes in place as well, which start from the gates' values."""
    narrow, wide = saturated(name)
    trace = unroll(narrow, 2 * draw(40, 4, 3).float())
    exact = unroll(wide, trace.inputs.double(), trace.states[0].detach().double())
    ours, truth = (
        adjoints(each, each.states[-1].square().sum(-1)[None]).log_norms()
        for each in (trace, exact)
    )
    torch.testing.assert_close(ours, truth, rtol=1e-3, atol=5e-2)
