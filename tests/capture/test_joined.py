"""Traces of calls that hand their state on, as one."""

import pytest
import torch

import gradscope
from gradscope.capture._ancestry import Way
from gradscope.capture._joined import joined
from gradscope.dynamics import Adjoints, Trace
from tests.capture.conftest import BATCH, INPUT, recorded, rnn_of
from tests.conftest import build, draw


def parts_of(whole, cuts, immediate):
    """A trace cut into several, each with what arrives at its states if it is called alone."""
    totals = gradscope.adjoints(whole.with_losses_of(Adjoints(immediate))).values()
    traces = []
    for start, stop in cuts:
        arrived = immediate[start : stop + 1].clone()
        if start:
            arrived[0] = 0  # s_start is the last state of the call before, which has it
        if stop < whole.time:
            arrived[-1] = totals[stop]
        traces.append(whole.steps(start, stop).with_losses_of(Adjoints(arrived)))
    return traces


@pytest.mark.parametrize("cuts", [[(0, 4), (4, 6)], [(0, 1), (1, 2), (2, 6)], [(0, 6)]])
def test_the_immediate_gradient_is_what_no_later_call_sends_back(cuts):
    cell, immediate = build("lstm"), draw(7, 2, 8, seed=2)
    immediate[0] = 0
    immediate[3] = 0  # a step that no loss hears stays one
    whole = gradscope.unroll(cell, draw(6, 2, 3, seed=1))
    parts = parts_of(whole, cuts, immediate)
    trace = joined(parts, [Way()] * (len(parts) - 1))
    torch.testing.assert_close(trace.states.detach(), whole.states.detach(), rtol=0, atol=0)
    torch.testing.assert_close(trace.immediate.values(), immediate, rtol=1e-9, atol=1e-12)


def test_only_rounding_is_left_where_no_loss_hears_the_state_between():
    cell, immediate = build("gru"), draw(7, 2, 4, seed=2)
    immediate[:6] = 0
    whole = gradscope.unroll(cell, draw(6, 2, 3, seed=1))
    trace = joined(parts_of(whole, [(0, 3), (3, 6)], immediate), [Way()])
    assert not trace.immediate.mantissa[:6].any()


def test_without_gradients_the_states_alone_are_joined():
    cell = build("rnn")
    whole = gradscope.unroll(cell, draw(6, 2, 3))
    trace = joined([whole.steps(0, 2), whole.steps(2, 6)], [Way()])
    assert trace.immediate is None
    assert torch.equal(trace.states.detach(), whole.states.detach())
    assert torch.equal(trace.inputs, whole.inputs)
    alone = whole.steps(0, 6)
    assert joined([alone], []) is alone
    assert isinstance(trace, Trace)


@pytest.mark.parametrize("kind", ["lstm", "gru", "projected"])
@pytest.mark.parametrize("piece", [1, 3])
def test_calls_that_hand_on_the_state_are_one_chain(kind, piece):
    """A decoder that calls a module once a step, or a few, and reads h_n in between."""
    rnn = rnn_of(kind, 2)
    x = torch.randn(6, BATCH, INPUT, dtype=torch.float64)
    with recorded(rnn) as recording:
        state, loss = None, torch.zeros((), dtype=torch.float64)
        for part in x.split(piece):
            output, state = rnn(part, state)
            h = state[0] if isinstance(state, tuple) else state
            loss = loss + output.square().sum() + (h[0] * 0.3).sin().sum()
        loss.backward()
    assert all(trace.time == 6 for trace in recording.traces.values())
    for suffix in ("l0", "l1"):
        for parameter, value in gradscope.gradient(recording.traces[suffix]).items():
            expected = getattr(rnn, f"{parameter}_{suffix}").grad
            torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-11)
    # every output of the top layer is heard, the initial state is not
    heard = recording.traces["l1"].immediate.values().flatten(1).ne(0).any(1)
    assert heard[1:].all()
    assert not heard[0]


def test_a_later_call_that_no_loss_hears():
    rnn = rnn_of("gru")
    x = torch.randn(6, 2, INPUT, dtype=torch.float64)
    with recorded(rnn) as recording:
        output, h = rnn(x[:3])
        rnn(x[3:], h)
        output.sum().backward()
    trace = recording.trace("gru")
    assert trace.time == 6
    torch.testing.assert_close(
        gradscope.gradient(trace)["weight_hh"], rnn.weight_hh_l0.grad, rtol=1e-9, atol=1e-11
    )
    assert not trace.immediate.mantissa[4:].any()
