"""The last loss of a sequence, traced back."""

import math
from dataclasses import replace

import pytest
import torch

from tests.dynamics.conftest import masked_trace
from tests.probes._draw import measured, rows_of, trace_of


def test_it_is_the_last_loss_alone():
    """Of copy memory, which scores every step: autograd on the last one, times their number."""
    trace = trace_of("gru", task="copy_memory")
    time = trace.time
    states = [state.detach().requires_grad_() for state in trace.states[:1]]
    for x in trace.inputs:
        states.append(trace.cell(x, states[-1]))
    last = trace.losses[-1] * trace.losses.numel()
    by_last = torch.autograd.grad(last.sum(), trace.states, retain_graph=True)[0][time]
    expected = torch.autograd.grad(states[-1], states[1:], by_last)
    rows = rows_of(measured({"name": "traced_back", "sequences": 2}, trace))
    assert {row["sequence"] for row in rows} == {0, 1}
    for row in rows:
        assert row["lag"] == time - row["t"]
        norm = float(expected[row["t"] - 1][row["sequence"]].norm())
        assert row["state"] == pytest.approx(math.log(norm), abs=1e-9)


def test_symbols_are_those_that_are_read_and_the_answer():
    trace = trace_of("rnn", task="long_agreement")
    for row in rows_of(measured("traced_back", trace)):
        sequence = trace.text[row["sequence"]]
        assert (row["symbol"], row["answer"]) == (sequence[row["t"] - 1], sequence[-1])
    assert set(measured("traced_back", trace_of())["symbol"]) == {""}


def test_a_short_sequence_has_rows_for_the_steps_that_it_takes():
    trace = masked_trace("gru")
    losses = trace.states[-1:].square().sum(-1)
    trace = replace(trace, losses=losses, loss_steps=torch.tensor([7]))
    rows = rows_of(measured("traced_back", trace))
    steps = {b: [row["t"] for row in rows if row["sequence"] == b] for b in range(3)}
    assert steps == {0: [1, 2, 3, 4, 5, 6, 7], 1: [4, 5, 6, 7], 2: [7]}


def test_without_a_loss_there_is_nothing_to_trace():
    assert measured("traced_back", trace_of().first(2)) == {}
