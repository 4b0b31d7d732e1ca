"""A cell's step together with what lies before it: its derivatives, and what it hands through."""

import pytest
import torch

import gradscope
from gradscope.capture import WholeStep
from gradscope.capture._ancestry import Way
from gradscope.capture._resets import resets_of
from gradscope.capture._whole_step import with_ways
from gradscope.dynamics import Trace
from tests.conftest import build, draw

TIME, BATCH, INPUT = 5, 3, 3
_REST = {
    "mask": (False, False),
    "matrix": (True, False),
    "fed back": (False, True),
    "both": (True, True),
}


def whole(name, matrix, fed, seed=0):
    """A cell that steps along states of its own, with a drawn way into each step."""
    cell = build(name, INPUT)
    size = cell.state_size
    inputs, made, ways = draw(TIME, BATCH, INPUT, seed=1), [draw(BATCH, size, seed=2)], []
    came = []
    for t in range(TIME):
        way = Way(
            draw(BATCH, size, size, seed=3 + t) if matrix else draw(BATCH, size, seed=3 + t),
            draw(BATCH, INPUT, size, seed=30 + t) if fed else None,
        )
        ways.append(way)
        came.append(draw(BATCH, size, seed=60 + t))
        made.append(cell(inputs[t], came[-1]).detach())
    return cell, inputs, torch.stack(made), torch.stack(came), ways


@pytest.mark.parametrize("rest", _REST)
@pytest.mark.parametrize("name", ["lstm", "gru", "lstm_variant"])
def test_derivatives_are_autograds(name, rest):
    cell, inputs, states, came, ways = whole(name, *_REST[rest])
    step, x, states = with_ways(cell, inputs, states, came, ways)
    assert isinstance(step, WholeStep)
    assert step.is_affine == (rest == "mask")
    again = step(x, states[:-1])
    torch.testing.assert_close(again, states[1:], rtol=1e-12, atol=1e-12)
    automatic = step._by_func(1, x, states[:-1])
    exact = step.jacobian(x, states[:-1], states[1:])
    torch.testing.assert_close(exact, automatic, rtol=1e-9, atol=1e-12)
    by_input = step.input_jacobian(x, states[:-1], states[1:])
    expected = step._by_func(0, x, states[:-1])[..., :-1]
    torch.testing.assert_close(by_input[..., :-1], expected, rtol=1e-9, atol=1e-12)
    assert not by_input[..., -1].any()
    linear = step.linearise(x, states[:-1], states[1:])
    vector, moved = draw(TIME, BATCH, cell.state_size, seed=9), draw(TIME, BATCH, INPUT + 1, seed=8)
    moved[..., -1] = 0
    back, received = linear.vjp(vector)
    torch.testing.assert_close(back, (exact.mT @ vector[..., None])[..., 0])
    torch.testing.assert_close(received, (by_input.mT @ vector[..., None])[..., 0])
    forth = (exact @ vector[..., None] + by_input @ moved[..., None])[..., 0]
    torch.testing.assert_close(linear.jvp(vector, moved), forth)
    torch.testing.assert_close(linear.at(slice(2, 3)).vjp(vector[2:3])[0], back[2:3])
    torch.testing.assert_close(sum(linear.vjp_by_gate(vector).values()), back)


def test_a_trace_of_it_can_be_cut_and_made_more_precise():
    cell, inputs, states, came, ways = whole("gru", matrix=True, fed=True)
    step, x, states = with_ways(cell, inputs, states, came, ways)
    trace = gradscope.Trace(step, x, states)
    assert trace.read.shape == inputs.shape
    some = trace.sequences(torch.tensor([2, 0])).steps(1, 4)
    torch.testing.assert_close(some.jacobians(), trace.jacobians(1, 4)[:, [2, 0]])
    assert dict(step.named_parameters()).keys() == dict(cell.named_parameters()).keys()
    assert step.gates(x, states[:-1]).keys() == cell.gates(inputs, states[:-1]).keys()
    for gate, matrix in step.recurrent_matrices().items():
        assert torch.equal(matrix, cell.recurrent_matrices()[gate])


def test_of_matrices_that_are_kept_of_few_sequences_these_are_measured():
    cell, inputs, states, came, ways = whole("rnn", matrix=True, fed=False)
    few = [Way(way.state[:2]) for way in ways]
    step, x, shown = with_ways(cell, inputs, states, came, few)
    assert x.shape[1] == shown.shape[1] == 2
    torch.testing.assert_close(step(x, shown[:-1]), states[1:, :2])


def test_where_nothing_lies_between_the_cell_is_left_alone():
    cell, inputs, states, came, _ = whole("rnn", matrix=False, fed=False)
    assert with_ways(cell, inputs, states, came, [None, Way()] * 2 + [None])[0] is cell


def test_a_state_that_is_held_is_not_one_that_is_set_anew():
    """Of three sequences one is set to zero twice in a row, one is held, one goes on as it is."""
    cell = build("gru", INPUT)
    size = cell.state_size
    made, came = draw(TIME + 1, BATCH, size, seed=2), draw(TIME, BATCH, size, seed=3)
    ways = [None, *(Way(torch.ones(BATCH, size, dtype=torch.float64)) for _ in range(TIME - 1))]
    came[0] = 0
    for t in (2, 3):
        came[t, 0], came[t, 1] = 0, came[t - 1, 1]
        ways[t].state[:2] = 0
    step, x, states = with_ways(cell, draw(TIME, BATCH, INPUT), made, came, ways)
    expected = torch.zeros(TIME, BATCH, dtype=torch.bool)
    expected[2:4, 0] = True
    trace = Trace(step, x, states)
    assert torch.equal(resets_of(trace), expected)
    assert resets_of(trace.sequences(slice(1, None))) is None
    assert resets_of(trace.steps(3, TIME))[0, 0]
    assert resets_of(gradscope.unroll(cell, draw(TIME, BATCH, INPUT))) is None


def test_a_state_that_is_fed_back_through_the_input_is_not_set_anew():
    cell = build("gru", INPUT)
    zero = torch.zeros(BATCH, cell.state_size, dtype=torch.float64)
    fed = draw(BATCH, INPUT, cell.state_size, seed=4)
    made, came = draw(TIME + 1, BATCH, cell.state_size), draw(TIME, BATCH, cell.state_size, seed=3)
    ways = [Way(zero, fed)] * TIME
    step, x, states = with_ways(cell, draw(TIME, BATCH, INPUT), made, came, ways)
    assert resets_of(Trace(step, x, states)) is None
