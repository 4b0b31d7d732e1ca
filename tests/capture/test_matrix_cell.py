"""MatrixScan: S_t = A_t S_{t-1} + k_t v_t^T in every head."""

import pytest
import torch

import gradscope
from tests.conftest import draw
from tests.dynamics.test_heads import trace_of
from tests.dynamics.test_matrix_state import BATCH, HEADS, KEY, TIME, VALUE, recurrence, slow_twin


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_the_states_are_those_of_the_recurrence(rank):
    r = recurrence(rank=rank)
    trace, _, _ = trace_of(r)
    again = trace.cell.scan(trace.inputs, trace.states[0])
    torch.testing.assert_close(again, trace.states)
    expected = torch.stack(slow_twin(r)[0]).detach()
    torch.testing.assert_close(trace.cell.matrix(trace.states), expected)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_jacobians_are_autograds(rank):
    trace, _, _ = trace_of(recurrence(rank=rank))
    cell = trace.cell
    dense = gradscope.step_jacobians(trace)
    one = torch.func.jacrev(lambda s: cell(trace.inputs[2, 1], s))(trace.states[2, 1])
    torch.testing.assert_close(dense[2, 1], one)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_the_linearisation_is_autograds(rank):
    trace, _, _ = trace_of(recurrence(rank=rank))
    cell, x, before = trace.cell, trace.inputs, trace.states[:-1]
    s = cell(x, before)
    linear = cell.linearise(x, before, s)
    cotangent, tangent, by_input = (draw(*part.shape, seed=i) for i, part in enumerate((s, s, x)))
    to_input, to_state = torch.func.vjp(cell, x, before)[1](cotangent)
    by_state, felt = linear.vjp(cotangent)
    torch.testing.assert_close(by_state, to_state)
    torch.testing.assert_close(felt, to_input)
    moved = torch.func.jvp(cell, (x, before), (by_input, tangent))[1]
    torch.testing.assert_close(linear.jvp(tangent, by_input), moved)
    still = torch.func.jvp(cell, (x, before), (0 * x, tangent))[1]
    torch.testing.assert_close(linear.jvp(tangent), still)
    part = linear.at(slice(1, 3))
    torch.testing.assert_close(part.vjp(cotangent[1:3])[0], by_state[1:3])
    assert linear.by_parameters(cotangent) == {}


def test_adjoints_and_input_gradients_are_autograds():
    trace, _, _ = trace_of()
    x = trace.inputs.clone().requires_grad_()
    states = trace.cell.scan(x, trace.states[0])
    immediate = trace.immediate.values()
    (expected,) = torch.autograd.grad((states * immediate).sum(), x)
    torch.testing.assert_close(gradscope.input_gradients(trace).values(), expected)


def test_a_state_is_set_anew_where_no_head_keeps_anything():
    trace, _, _ = trace_of(recurrence(rank=1))
    cell = trace.cell
    assert not bool(cell.resets(trace.inputs).any())
    by = cell.transitions(trace.inputs)
    by.log_diagonal[2] = -torch.inf
    by.log_diagonal[4, :, 0] = -torch.inf  # one head alone
    changed = recurrence(rank=1)
    changed.transitions.log_diagonal[:] = by.log_diagonal
    assert not bool(cell.resets(cell.packed(changed)).any())  # the low rank keeps something
    changed.transitions.left[2] = 0
    resets = cell.resets(cell.packed(changed))
    assert resets.sum(1).tolist() == [0, 0, BATCH, 0, 0, 0]


def test_sizes():
    trace, _, _ = trace_of()
    cell = trace.cell
    assert cell.hidden_size == HEADS * KEY * VALUE
    assert cell.input_size == trace.inputs.shape[-1] == HEADS * (1 + 3 * KEY + VALUE)
    assert cell.head(1) == slice(KEY * VALUE, 2 * KEY * VALUE)
    assert cell.initial_state(3).shape == (3, cell.hidden_size)
    assert trace.time == TIME
