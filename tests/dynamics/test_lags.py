"""Lag contributions: the lecture's sum, term by term."""

import math

import pytest
import torch

from gradscope import GradscopeError, Stack, lag_contributions, truncation_bias, unroll
from gradscope.components import registry
from gradscope.dynamics import gradient
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
@pytest.mark.parametrize("name", registry.names("cell"))
def test_sum_over_all_lags_is_the_bptt_gradient(name, layers):
    cell, trace, losses, weights = case(name, layers)
    found = lag_contributions(trace, losses, tensors=True)
    for parameter, value in autograd_gradient(cell, trace, weights).items():
        torch.testing.assert_close(found.tensors[parameter].sum(0), value, rtol=0, atol=1e-11)
        torch.testing.assert_close(gradient(trace, losses)[parameter], value, rtol=0, atol=1e-11)
    assert found.shares[-1] == pytest.approx(1)
    assert len(found.lags) == trace.time


@pytest.mark.parametrize("name", registry.names("cell"))
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


@pytest.mark.parametrize("length", [1, 3, 8, 20])
def test_sliding_truncation_is_the_sum_of_the_short_lags(length):
    _, trace, losses, _ = case("gru")
    lags = lag_contributions(trace, losses, tensors=True)
    windowed = gradient(trace, losses, tbptt=(length, 1))
    bias = truncation_bias(trace, losses, [length])
    flat = torch.cat([windowed[name].flatten() for name in windowed])
    full = torch.cat([value.flatten() for value in gradient(trace, losses).values()])
    for name, value in windowed.items():
        torch.testing.assert_close(lags.tensors[name][:length].sum(0), value, rtol=0, atol=1e-12)
    assert bias.norm_ratios[0] == pytest.approx(float(flat.norm() / full.norm()))
    assert bias.cosines[0] == pytest.approx(float(torch.cosine_similarity(flat, full, dim=0)))
    assert bias.sign_agreement[0] == pytest.approx(
        float(((flat > 0) == (full > 0)).double().mean())
    )


def test_chunked_truncation():
    _, trace, losses, _ = case("lstm")
    bias = truncation_bias(trace, losses, [2, 8, 3], kind="chunk")
    assert bias.lengths == [2, 3, 8]
    torch.testing.assert_close(bias.cosines[2], torch.tensor(1.0, dtype=torch.float64))
    assert bias.cosines[0] < 1
    for index, length in enumerate(bias.lengths):
        windowed = gradient(trace, losses, tbptt=(length, length))
        ratio = math.sqrt(sum(float(v.square().sum()) for v in windowed.values()))
        full = math.sqrt(sum(float(v.square().sum()) for v in gradient(trace, losses).values()))
        assert bias.norm_ratios[index] == pytest.approx(ratio / full)


def test_chunks_keep_one_minus_lag_over_length_of_a_constant_contribution():
    """Where every pair (t, k) at a lag contributes alike, a chunk of K keeps the fraction 1 - lag /
    K.
    """
    cell = build("rnn", 1, 1, activation="identity", bias=False)
    cell.weight_hh.data.fill_(1.0)
    trace = unroll(cell, torch.ones(24, 1, 1, dtype=torch.float64))
    losses = trace.states[1:].sum(
        -1
    )  # d+s_k/dW_ih = 1 and every J = 1: G_lag is the number of pairs, 24 - lag
    full = (
        lag_contributions(trace, losses, parameter="weight_ih", tensors=True)
        .tensors["weight_ih"]
        .flatten()
    )
    torch.testing.assert_close(full, 24.0 - torch.arange(24, dtype=torch.float64))
    chunked = gradient(trace, losses, tbptt=(6, 6))["weight_ih"].item() / cell.weight_ih.item() ** 0
    assert chunked == pytest.approx(sum(24 * (1 - lag / 6) for lag in range(6)))


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
    with pytest.raises(GradscopeError, match="at least 1"):
        truncation_bias(trace, losses, [0])
