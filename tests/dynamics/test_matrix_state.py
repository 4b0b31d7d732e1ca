"""Recurrences with a matrix for a state, streamed."""

import pytest
import torch

from gradscope.dynamics import MatrixRecurrence, Transitions
from tests.conftest import draw

TIME, BATCH, HEADS, KEY, VALUE = 6, 2, 3, 4, 5


def recurrence(reads_before=False, start=True, rank=1):
    decay = -draw(TIME, BATCH, HEADS, 1).abs()
    low, high = (draw(TIME, BATCH, HEADS, KEY, rank, seed=seed) / 2 for seed in (1, 2))
    return MatrixRecurrence(
        Transitions(decay, low, high),
        draw(TIME, BATCH, HEADS, KEY, seed=3),
        draw(TIME, BATCH, HEADS, VALUE, seed=4),
        draw(TIME, BATCH, HEADS, KEY, seed=5),
        draw(BATCH, HEADS, KEY, VALUE, seed=6) if start else None,
        reads_before,
    )


def slow_twin(r):
    """States with their gradients kept, and outputs."""
    dense, state = r.transitions.dense(), r.first().clone().requires_grad_()
    states, outputs = [state], []
    for t in range(TIME):
        before = state
        state = dense[t] @ state + r.key[t][..., None] * r.value[t][..., None, :]
        state.retain_grad()
        states.append(state)
        read = before if r.reads_before else state
        outputs.append(torch.einsum("bhkv,bhk->bhv", read, r.query[t]))
    return states, torch.stack(outputs)


CASES = pytest.mark.parametrize(
    ("reads_before", "start", "rank"), [(False, True, 1), (True, True, 0), (False, False, 2)]
)


@CASES
def test_states_and_outputs(reads_before, start, rank):
    r = recurrence(reads_before, start, rank)
    states, outputs = slow_twin(r)
    torch.testing.assert_close(torch.stack(list(r.states())), torch.stack(states).detach())
    torch.testing.assert_close(r.outputs(), outputs.detach())
    *_, last = r.states()
    assert torch.equal(r.outputs_and_last()[1], last)
    assert (r.time, r.size) == (TIME, HEADS * KEY * VALUE)


@CASES
def test_adjoints_are_autograds(reads_before, start, rank):
    r = recurrence(reads_before, start, rank)
    states, outputs = slow_twin(r)
    by_output = draw(*outputs.shape, seed=9)
    (outputs * by_output).sum().backward()
    grads = [torch.zeros_like(r.first()) if s.grad is None else s.grad for s in states]
    expected = torch.linalg.vector_norm(torch.stack(grads).flatten(-2), dim=-1).log()
    torch.testing.assert_close(r.adjoint_log_norms(by_output), expected)


def test_adjoints_far_below_the_range_of_floats():
    """One output is read of the last state alone: dL/dS_t is e^(-900 (T - t)) of it."""
    none = torch.zeros(TIME, 1, 1, 1, 0)
    one = torch.ones(TIME, 1, 1, 1)
    r = MatrixRecurrence(Transitions(-900 * one, none, none), one, one, one)
    by_output = torch.zeros(TIME, 1, 1, 1)
    assert bool((r.adjoint_log_norms(by_output) == -torch.inf).all())
    by_output[-1] = 2.0
    expected = torch.tensor(2.0).log().double() - 900 * torch.arange(TIME, -1, -1).double()
    torch.testing.assert_close(r.adjoint_log_norms(by_output).flatten(), expected)
    by_output[2] = 3.0  # 1800 nats above what comes from the last step
    norms = r.adjoint_log_norms(by_output).flatten()
    three = torch.tensor(3.0).log().double()
    torch.testing.assert_close(norms[:4], three - 900 * torch.arange(3, -1, -1).double())
    torch.testing.assert_close(norms[4:], expected[4:])


def test_what_is_set_anew_sends_nothing_back():
    r = recurrence(rank=0)
    r.transitions.log_diagonal[3] = -torch.inf
    by_output = draw(TIME, BATCH, HEADS, VALUE, seed=9)
    by_output[:3] = 0
    norms = r.adjoint_log_norms(by_output)
    assert bool((norms[:4] == -torch.inf).all())
    assert bool(norms[4:].isfinite().all())


def test_a_mix_of_columns_is_the_recurrence_of_the_mixed_states():
    r, mix = recurrence(), draw(VALUE, 2, seed=7)
    states, mixed = torch.stack(list(r.states())), torch.stack(list(r.columns(mix).states()))
    torch.testing.assert_close(mixed, states @ mix)
    torch.testing.assert_close(r.columns(mix).outputs(), r.outputs() @ mix)


def test_one_step():
    r = recurrence()
    parts = (r.key[:1], r.value[:1], r.query[:1])
    short = MatrixRecurrence(r.transitions[:1], *parts, r.start)
    torch.testing.assert_close(short.outputs(), r.outputs()[:1])
    assert short.adjoint_log_norms(draw(1, BATCH, HEADS, VALUE)).shape == (2, BATCH, HEADS)
