"""torch.nn.RNN, LSTM and GRU: one call after another, and what the reader is told."""

import pytest
import torch
from torch import nn

import gradscope
from tests.capture.conftest import BATCH, HIDDEN, INPUT, TIME, recorded, rnn_of


def test_a_detached_state_begins_a_chain_of_its_own():
    rnn, state = nn.GRU(INPUT, HIDDEN), None
    with recorded(rnn) as recording:
        for part in torch.randn(9, 2, INPUT).split(3):
            output, state = rnn(part, None if state is None else state.detach())
            output.sum().backward()
    assert [trace.time for trace in recording.traces.values()] == [3, 3, 3]
    assert recording.carried == {"gru (2)", "gru (3)"}


def test_unbatched_and_without_gradient():
    rnn = nn.LSTM(INPUT, HIDDEN, 2)
    with recorded(rnn) as recording, torch.no_grad():
        rnn(torch.randn(6, INPUT))
    assert recording.traces["l0"].states.shape == (7, 1, 2 * HIDDEN)
    assert recording.traces["l0"].immediate is None
    assert gradscope.jacobian_log_norms(recording.traces["l1"])[-1].isfinite().all()


def test_an_output_that_no_loss_hears():
    """A hook on an unused output of oneDNN's LSTM, which has several in float32, gets None."""
    rnn = nn.LSTM(INPUT, HIDDEN, 2)
    with recorded(rnn) as recording:
        rnn(torch.randn(TIME, BATCH, INPUT))[1][0][-1].sum().backward()
    for suffix in ("l0", "l1"):
        for parameter, value in gradscope.gradient(recording.trace(suffix)).items():
            expected = getattr(rnn, f"{parameter}_{suffix}").grad
            torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("change", ["mul_", "detach_"])
def test_a_state_changed_in_place_between_calls(change):
    """A factor is part of the step; a state that is detached begins a stretch."""
    rnn = rnn_of("gru")
    x = torch.randn(6, 2, INPUT, dtype=torch.float64)
    with recorded(rnn) as recording:
        output, h = rnn(x[:3])
        first = output.sum()
        h.mul_(0.5) if change == "mul_" else h.detach_()
        (first + rnn(x[3:], h)[0].square().sum()).backward()
    lengths = [trace.time for trace in recording.traces.values()]
    assert lengths == ([6] if change == "mul_" else [3, 3])
    total = sum(gradscope.gradient(trace)["weight_hh"] for trace in recording.traces.values())
    torch.testing.assert_close(total, rnn.weight_hh_l0.grad, rtol=1e-9, atol=1e-11)
    assert recording.carried == ({"gru (2)"} if change == "detach_" else set())
    assert any("detached 1 time;" in note for note in recording.notes) == (change == "detach_")


def test_several_backward_passes_are_said():
    rnn = nn.GRU(INPUT, HIDDEN)
    with recorded(rnn) as recording:
        output = rnn(torch.randn(TIME, BATCH, INPUT))[0]
        output.sum().backward(retain_graph=True)
        output.square().sum().backward()
    assert "2 backward passes" in recording.notes[0]
    torch.testing.assert_close(
        gradscope.gradient(recording.trace("gru"))["weight_hh"],
        rnn.weight_hh_l0.grad,
        rtol=1e-4,
        atol=1e-5,
    )


def test_in_place_changes_of_inputs_and_outputs_do_not_matter():
    rnn = nn.GRU(INPUT, HIDDEN)
    x = torch.randn(TIME, BATCH, INPUT)
    with recorded(rnn) as recording, torch.no_grad():
        output, _ = rnn(x)
        kept = output.clone()
        output.zero_()
        x.zero_()
    torch.testing.assert_close(recording.trace("gru").states.detach()[1:], kept)


def test_weights_changed_between_calls_part_them():
    """Each call is taken apart with the weights that it had."""
    rnn, x = rnn_of("gru"), torch.randn(6, 2, INPUT, dtype=torch.float64)
    with recorded(rnn) as recording, torch.no_grad():
        _, h = rnn(x[:3])
        rnn.weight_hh_l0.mul_(0.5)
        rnn(x[3:], h)
    first, second = recording.traces.values()
    assert (first.time, second.time) == (3, 3)
    torch.testing.assert_close(first.cell.weight_hh, 2 * rnn.weight_hh_l0)
    torch.testing.assert_close(second.cell.weight_hh, rnn.weight_hh_l0)
    torch.testing.assert_close(second.states[0], h[0])
