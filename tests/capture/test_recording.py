"""Recording: traces by name, and all layers of a module as one."""

import pytest
import torch
from torch import nn

import gradscope
from gradscope.capture import Place, Recording
from gradscope.dynamics import Trace
from gradscope.errors import GradscopeError
from tests.capture.conftest import BATCH, HIDDEN, INPUT, TIME, Scored, recorded, rnn_of, start_of
from tests.conftest import build, draw


def recording_of(rnn, lengths=None, start=None):
    model = Scored(rnn, lengths, start)
    with recorded(model) as recording:
        model(torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)).backward()
    return recording


@pytest.mark.parametrize("kind", ["lstm", "gru", "tanh"])
def test_a_stack_of_layers_is_one_recurrence(kind):
    rnn = rnn_of(kind, 3)
    recording = recording_of(rnn, start=start_of(rnn))
    trace = recording.stack("rnn")
    for name, value in gradscope.gradient(trace).items():
        _, layer, parameter = name.split(".")
        expected = getattr(rnn, f"{parameter}_l{layer}").grad
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-11)
    assert trace.states.shape[-1] == sum(t.states.shape[-1] for t in recording.traces.values())


def test_the_immediate_gradient_of_a_stack_is_what_comes_from_outside():
    """Of a loss that reads the top layer alone, none arrives at the layers below."""
    rnn = rnn_of("lstm", 3)
    with recorded(rnn) as recording:
        rnn(torch.randn(TIME, BATCH, INPUT, dtype=torch.float64))[0].sin().sum().backward()
    trace = recording.stack("")
    assert not trace.immediate.mantissa[..., : 4 * HIDDEN].any()
    top = recording.trace("l2").immediate.values()
    torch.testing.assert_close(trace.immediate.values()[..., 4 * HIDDEN :], top)


def test_a_stack_without_gradients():
    rnn = rnn_of("gru", 2)
    with recorded(rnn) as recording, torch.no_grad():
        rnn(torch.randn(TIME, BATCH, INPUT, dtype=torch.float64))
    trace = recording.stack("")
    assert trace.immediate is None
    assert gradscope.step_jacobians(trace).shape == (TIME, BATCH, 2 * HIDDEN, 2 * HIDDEN)


@pytest.mark.parametrize(
    ("rnn", "lengths"),
    [
        (rnn_of("gru", 2, bidirectional=True), None),
        (rnn_of("gru", 2, dropout=0.5), None),
        (rnn_of("gru", 2), torch.tensor([4, 7, 2, 7])),
    ],
    ids=["both directions", "dropout", "several lengths"],
)
def test_what_is_no_stack_is_named(rnn, lengths):
    recording = recording_of(rnn, lengths)
    with pytest.raises(GradscopeError, match=r"'rnn' is not one recurrence .* its parts are there"):
        recording.stack("rnn")
    with pytest.raises(GradscopeError, match="'nowhere' is not one recurrence"):
        recording.stack("nowhere")


def trace_of(states):
    cell = build("rnn", hidden_size=states.shape[-1])
    return Trace(cell, draw(states.shape[0] - 1, states.shape[1], 3), states)


def test_a_name_that_was_not_recorded_is_named():
    recording = Recording(0)
    recording.add(
        Place("rnn", "gru", layer=1), trace_of(draw(4, 2, 4)), nn.Linear(1, 1), carried=True
    )
    assert recording.carried == {"rnn.l1"}
    assert recording.trace("rnn.l1") is recording.traces["rnn.l1"]
    with pytest.raises(GradscopeError, match=r"nothing was recorded as 'rnn\.l3'; did you mean"):
        recording.trace("rnn.l3")


def test_the_first_step_that_is_not_finite():
    recording, states = Recording(0), draw(6, 2, 4)
    recording.add(Place("good", "gru"), trace_of(states), nn.Linear(1, 1), carried=False)
    states = states.clone()
    states[3:, 1, 2] = float("inf")
    states[4, 0, 0] = float("nan")
    recording.add(Place("bad", "gru"), trace_of(states), nn.Linear(1, 1), carried=False)
    assert recording.nonfinite == {"bad": 3}
    assert recording.carried == set()


def test_a_sum_that_overflows_is_no_state_that_does():
    recording = Recording(0)
    states = torch.full((2, 2, 4), 1e308, dtype=torch.float64)
    recording.add(Place("large", "gru"), trace_of(states), nn.Linear(1, 1), carried=False)
    assert recording.nonfinite == {}
