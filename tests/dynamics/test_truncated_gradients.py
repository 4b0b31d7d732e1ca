"""The bias of truncated BPTT against gradients of windows and sums of lags."""

import dataclasses
import math

import pytest
import torch

from gradscope.dynamics import (
    Adjoints,
    Linearisation,
    gradient,
    immediate_gradients,
    lag_contributions,
    trained_gradient,
    truncation_bias,
    unroll,
)
from gradscope.errors import GradscopeError
from tests.conftest import build, draw


def case(name: str):
    """A trace, and a loss at every step."""
    trace = unroll(build(name), draw(8, 2, 3))
    return trace, (trace.cell.hidden(trace.states) * draw(9, 2, 4, seed=9)).sum(-1)


@pytest.mark.parametrize("length", [1, 3, 8, 20])
def test_sliding_truncation_is_the_sum_of_the_short_lags(length):
    trace, losses = case("gru")
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
    trace, losses = case("lstm")
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
    chunked = gradient(trace, losses, tbptt=(6, 6))["weight_ih"].item()
    assert chunked == pytest.approx(sum(24 * (1 - lag / 6) for lag in range(6)))


@pytest.mark.parametrize("kind", ["sliding", "chunk"])
def test_lengths_by_default_and_of_one_parameter(kind):
    trace, losses = case("gru")
    bias = truncation_bias(trace, losses, kind=kind, parameter="weight_hh")
    assert bias.lengths == [1, 2, 4, 8]
    for index, length in enumerate(bias.lengths):
        tbptt = (length, 1 if kind == "sliding" else length)
        part = gradient(trace, losses, tbptt=tbptt)["weight_hh"]
        full = gradient(trace, losses)["weight_hh"]
        assert bias.norm_ratios[index] == pytest.approx(float(part.norm() / full.norm()))
        same = ((part * full) > 0).sum() / (full != 0).sum()
        assert bias.sign_agreement[index] == pytest.approx(float(same))
    assert bias.norm_ratios[-1] == pytest.approx(1)


def test_lengths_are_at_least_one():
    trace, losses = case("lstm")
    with pytest.raises(GradscopeError, match="at least 1"):
        truncation_bias(trace, losses, [0])


class Cut(torch.nn.Module):
    """A cell that says where its training cut gradients off: before all steps but the last few."""

    def __init__(self, cell, heard):
        super().__init__()
        self.cell, self.heard = cell, heard

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.cell, name)

    def as_trained(self):
        return Heard(self.cell, self.heard)


class Heard(Cut):
    def linearise(self, x, s_prev, s):
        return HeardSteps(self.cell.linearise(x, s_prev, s), len(x), self.heard)


class HeardSteps(Linearisation):
    """Derivatives of zero of all steps but the last ones; of a whole trace, or step by step."""

    def __init__(self, inner, time, heard, steps=None):
        self.inner, self.time, self.heard = inner, time, heard
        self.steps = range(time) if steps is None else steps
        self.on = torch.tensor([step >= time - heard for step in self.steps])[:, None, None]

    def vjp(self, cotangent):
        return self.inner.vjp(self.on * cotangent)

    def jvp(self, tangent, by_input=None):
        return self.on * self.inner.jvp(tangent, by_input)

    def by_parameters(self, cotangent, names=None):
        return self.inner.by_parameters(self.on * cotangent, names)

    def at(self, steps):
        return HeardSteps(self.inner.at(steps), self.time, self.heard, self.steps[steps])


def test_what_a_training_used_against_the_full_gradient():
    cell = build("rnn", hidden_size=5)
    trace = unroll(cell, draw(8, 3, 3))
    losses = cell.hidden(trace.states)[-1].square().sum(-1)[None]
    immediate = immediate_gradients(trace, losses)
    trace = trace.with_losses_of(Adjoints(immediate))
    assert trained_gradient(trace) is None
    bias = truncation_bias(trace, lengths=[3])
    used = trained_gradient(dataclasses.replace(trace, cell=Cut(cell, 3), cache={}))
    assert (used.seen, used.steps) == (3, 8)
    assert used.cosine == pytest.approx(float(bias.cosines[0]), rel=1e-12)
    assert used.norm_ratio == pytest.approx(float(bias.norm_ratios[0]), rel=1e-12)
    assert used.sign_agreement == pytest.approx(float(bias.sign_agreement[0]))
