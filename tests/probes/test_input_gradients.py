"""How much the loss depends on every input."""

import math
from dataclasses import replace

import pytest
import torch

from tests.dynamics.conftest import masked_trace
from tests.probes._draw import measured, rows_of, trace_of


def test_they_are_autograds():
    trace = trace_of("gru")
    inputs = trace.inputs.clone().requires_grad_()
    states = trace.cell.scan(inputs, trace.states.detach()[0])
    # the loss depends on the last state alone
    by_last = torch.autograd.grad(trace.losses.sum(), trace.states, retain_graph=True)[0][-1]
    (expected,) = torch.autograd.grad((states[-1] * by_last).sum(), inputs)
    for row in rows_of(measured("input_gradients", trace)):
        norm = float(expected[row["t"] - 1].norm())
        assert row["log_norm"] == pytest.approx(math.log(norm), abs=1e-9)
        assert row["time"] == 20


def test_steps_that_a_sequence_does_not_take_do_not_count():
    trace = masked_trace("gru")
    losses = trace.states[-1:].square().sum(-1)
    trace = replace(trace, losses=losses, loss_steps=torch.tensor([7]))
    alone = trace.sequences(slice(0, 1))
    alone = replace(alone, states=alone.states.requires_grad_())
    losses = alone.states[-1:].square().sum(-1)
    alone = replace(alone, losses=losses, loss_steps=torch.tensor([7]))
    all_three, first = (measured("input_gradients", part)["log_norm"] for part in (trace, alone))
    assert all_three[:3] == pytest.approx(first[:3], abs=1e-9)
    assert all_three[4] > first[4]


def test_they_are_minus_infinity_where_the_loss_cannot_see():
    """Without recurrent weights only the last input matters."""
    trace = trace_of("rnn")
    trace.cell.layers[0].weight_hh.data.zero_()
    norms = measured("input_gradients", trace)["log_norm"]
    assert norms[:-1] == [-math.inf] * 19
    assert norms[-1] > -math.inf
