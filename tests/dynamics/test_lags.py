"""Lag contributions: the gradient of BPTT, term by term."""

import math

import pytest
import torch

from gradscope.cells import CELLS, Stack
from gradscope.dynamics import gradient, lag_contributions, unroll
from gradscope.errors import GradscopeError
from tests.conftest import build, draw


def case(name: str, layers: int = 1, time: int = 8):
    cell = (
        Stack([build(name, 3 if layer == 0 else 4, 4, layer) for layer in range(layers)])
        if layers > 1
        else build(name)
    )
    trace = unroll(cell, draw(time, 2, 3))
    weights = draw(time + 1, 2, 4, seed=9)
    return cell, trace, (cell.hidden(trace.states) * weights).sum(-1), weights


def autograd_gradient(cell, trace, weights):
    states = cell.unroll(trace.inputs, trace.states[0].detach())
    return dict(
        zip(
            dict(cell.named_parameters()),
            torch.autograd.grad((cell.hidden(states) * weights).sum(), list(cell.parameters())),
            strict=True,
        )
    )


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", CELLS.names())
def test_sum_over_all_lags_is_the_bptt_gradient(name, layers):
    cell, trace, losses, weights = case(name, layers)
    found = lag_contributions(trace, losses, tensors=True)
    for parameter, value in autograd_gradient(cell, trace, weights).items():
        torch.testing.assert_close(found.tensors[parameter].sum(0), value, rtol=0, atol=1e-11)
        torch.testing.assert_close(gradient(trace, losses)[parameter], value, rtol=0, atol=1e-11)
    assert found.shares[-1] == pytest.approx(1)
    assert len(found.lags) == trace.time


@pytest.mark.parametrize("name", CELLS.names())
def test_each_lag_is_its_own_sum_of_products(name):
    """G_lag built by autograd: weights used at step k alone, the loss at step k + lag alone."""
    cell, trace, losses, weights = case(name, time=5)
    found = lag_contributions(trace, losses, tensors=True)
    parameters = list(cell.parameters())
    for lag in range(5):
        expected = [torch.zeros_like(p) for p in parameters]
        for k in range(1, 6 - lag):
            state = cell(trace.inputs[k - 1], trace.states[k - 1].detach())
            for step in range(k, k + lag):
                # later steps use the weights too, but as constants
                constant = {n: p.detach() for n, p in cell.named_parameters()}
                state = torch.func.functional_call(cell, constant, (trace.inputs[step], state))
            loss = (cell.hidden(state) * weights[k + lag]).sum()
            for total, g in zip(expected, torch.autograd.grad(loss, parameters), strict=True):
                total += g
        for (parameter, value), total in zip(found.tensors.items(), expected, strict=True):
            torch.testing.assert_close(
                value[lag], total, rtol=0, atol=1e-11, msg=f"{parameter} at lag {lag}"
            )


def test_the_lectures_three_steps():
    """dh_3/dW = d+h_3/dW + (dh_3/dh_2) d+h_2/dW + (dh_3/dh_2)(dh_2/dh_1) d+h_1/dW, for one unit."""
    cell = build("rnn", 1, 1, bias=False)
    trace = unroll(cell, draw(3, 1, 1))
    found = lag_contributions(
        trace, trace.states[3].sum(-1)[None], parameter="weight_hh", tensors=True
    )
    h = trace.states.detach().flatten()
    slope, w = 1 - h**2, cell.weight_hh.detach().item()
    expected = [
        slope[3] * h[2],
        slope[3] * w * slope[2] * h[1],
        slope[3] * w * slope[2] * w * slope[1] * h[0],
    ]
    torch.testing.assert_close(found.tensors["weight_hh"].flatten(), torch.stack(expected))


def test_norms_keep_their_scale_in_float32():
    """At gain 0.02 a lag of 100 is about e^-400: a float32 gradient is 0 there, its logarithm is
    not.
    """
    cell = build("rnn", activation="identity", bias=False).float()
    cell.weight_hh.data = 0.02 * torch.eye(4)
    trace = unroll(cell, draw(101, 1, 3).float())
    found = lag_contributions(trace, trace.states[-1].sum(-1)[None], parameter="weight_ih")
    inputs = trace.inputs[:, 0].double().norm(dim=-1).flip(0)
    expected = (
        torch.arange(101, dtype=torch.float64) * math.log(0.02) + (2 * inputs).log()
    )  # ||1 x^T|| = sqrt(4) ||x||
    torch.testing.assert_close(found.log_norms, expected, rtol=1e-5, atol=1e-3)


def test_exactly_zero_lags():
    cell = build("rnn", activation="relu")
    cell.bias_ih.data.fill_(-100.0)
    trace = unroll(cell, draw(5, 1, 3))
    found = lag_contributions(trace, trace.states[-1].sum(-1)[None])
    assert (found.log_norms == -math.inf).all()


def test_fewer_lags_and_one_parameter():
    _, trace, losses, _ = case("lstm")
    every, few = lag_contributions(trace, losses), lag_contributions(trace, losses, lags=3)
    torch.testing.assert_close(few.log_norms, every.log_norms[:4])
    one = lag_contributions(trace, losses, parameter="bias_hh", tensors=True)
    assert list(one.tensors) == ["bias_hh"]
    with pytest.raises(GradscopeError, match="no parameter 'weight'; known: weight_ih"):
        lag_contributions(trace, losses, parameter="weight")


def test_norms_and_cosines_are_those_of_the_tensors():
    _, trace, losses, _ = case("lstm")
    found = lag_contributions(trace, losses, parameter=["weight_hh", "bias_ih"], tensors=True)
    flat = torch.cat([value.flatten(1) for value in found.tensors.values()], dim=1)
    full = flat.sum(0)
    torch.testing.assert_close(found.log_norms, flat.norm(dim=1).log())
    torch.testing.assert_close(found.cosines, torch.cosine_similarity(flat, full[None]))
    torch.testing.assert_close(found.shares, (flat @ full).cumsum(0) / full.square().sum())


def test_tensors_are_kept_only_on_demand():
    _, trace, losses, _ = case("rnn")
    assert lag_contributions(trace, losses).tensors is None
