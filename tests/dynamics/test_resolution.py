"""Saturated slopes below what float32 holds."""

import math

import pytest
import torch

from gradscope.dynamics import (
    adjoints,
    gradient,
    jacobian_log_norms,
    lag_contributions,
    largest_lyapunov_exponent,
    lyapunov_spectrum,
    top_singular_values,
    unroll,
)
from gradscope.dynamics.resolution import resolved
from tests.conftest import build, draw


def saturated(u, name="rnn", dtype=torch.float32, **options):
    """A trace of units that are all at about the preactivation u."""
    cell = build(name, 2, 3, **options).to(dtype)
    with torch.no_grad():
        cell.bias_ih.fill_(u)
        cell.bias_hh.zero_()
    return unroll(cell, draw(10, 2, 2).to(dtype))


@pytest.mark.parametrize("u", [30.0, 60.0, 200.0])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_the_norms_of_a_saturated_network_are_those_of_its_slopes(u, activation):
    """J_t = diag(phi'(u_t)) W, and ln tanh'(u) = ln 4 - 2u, ln sigmoid'(u) = -u, by hand."""
    trace = saturated(u, activation=activation)
    cell, states = trace.cell.double(), trace.states.double()
    with torch.no_grad():
        before = trace.inputs.double() @ cell.weight_ih.mT + cell.bias_ih
        before = before + states[:-1] @ cell.weight_hh.mT
        slopes = math.log(4) - 2 * before if activation == "tanh" else -before
        steps = (slopes + u * (2 if activation == "tanh" else 1)).exp()[..., None] * cell.weight_hh
        product = torch.linalg.multi_dot(list(steps[:, 0].flip(0)))
        expected = float(torch.linalg.matrix_norm(product, 2).log())
        expected -= 10 * u * (2 if activation == "tanh" else 1)
    cell.float()
    within = pytest.approx(expected, abs=1e-3 * max(1.0, u / 60))
    assert float(jacobian_log_norms(trace)[-1, 0, 0]) == within
    assert float(top_singular_values(trace, 10, 0)[0]) == within


@pytest.mark.parametrize("name", ["rnn", "lstm", "layer_norm_lstm"])
def test_all_of_it_agrees_with_float64(name):
    """Every quantity, of weights so large that most units are beyond float32."""

    def quantities(dtype):
        cell = build(name, 2, 3).to(dtype)
        with torch.no_grad():
            cell.weight_ih.mul_(100)
            cell.weight_hh.mul_(100)
        trace = unroll(cell, draw(12, 2, 2).float().to(dtype))
        losses = trace.states[-1].sum(-1)[None]
        parts = lag_contributions(trace, losses)
        return [
            jacobian_log_norms(trace)[-1],
            adjoints(trace, losses).log_norms(),
            lyapunov_spectrum(trace, k=1).exponents,
            largest_lyapunov_exponent(trace).exponents,
            parts.log_norms,
            parts.shares,
            gradient(trace, losses)["weight_hh"],
        ]

    for ours, theirs in zip(quantities(torch.float32), quantities(torch.float64), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-4, atol=2e-3, check_dtype=False)


def test_others_are_as_they_are():
    trace = saturated(3.0)
    assert resolved(trace) is trace
    assert resolved(saturated(60.0, dtype=torch.float64)).states.dtype == torch.float64
    relu = saturated(60.0, activation="relu")
    assert resolved(relu) is relu
    beyond = saturated(60.0)
    assert resolved(beyond).states.dtype == torch.float64
    assert beyond.cell.weight_hh.dtype == torch.float32
    assert resolved(beyond) is resolved(beyond)


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "mgu", "layer_norm_lstm"])
@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0, 30.0])
def test_no_preactivation_exceeds_the_bound_that_saves_computing_it(name, scale):
    from gradscope.dynamics.resolution import _bound

    cell = build(name, 2, 6).float()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.mul_(scale)
    trace = unroll(cell, 3 * draw(8, 4, 2).float())
    largest = max(float(gate.preactivation.detach().abs().max()) for gate in trace.gates().values())
    assert largest <= _bound(trace)
