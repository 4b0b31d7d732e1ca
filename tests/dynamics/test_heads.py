"""A trace whose recurrence has heads, looked at head by head."""

import math

import pytest
import torch

import gradscope
from gradscope.capture._matrix_cell import MatrixScan
from gradscope.cells.gru import GRU
from gradscope.dynamics import Adjoints, Trace, Transitions, by_head, transitions_of
from gradscope.dynamics.heads import (
    Streamed,
    adjoint_log_norms_by_head,
    effective_rank,
    head_horizons,
    headed,
    streamed,
)
from gradscope.errors import GradscopeError
from tests.conftest import draw
from tests.dynamics.test_matrix_state import BATCH, HEADS, KEY, TIME, VALUE, recurrence


def trace_of(r=None):
    r = recurrence() if r is None else r
    cell = MatrixScan.of(r)
    states = torch.stack([state.flatten(-3) for state in r.states()])
    trace = Trace(cell, cell.packed(r), states)
    by_output = draw(TIME, BATCH, HEADS, VALUE, seed=9)
    immediate = r.immediate(by_output).flatten(-3)
    return trace.with_losses_of(Adjoints(immediate)), r, by_output


def test_heads_one_by_one_agree_with_the_whole():
    trace, _, _ = trace_of()
    heads = by_head(trace)
    assert (heads.batch, heads.time, heads.states.shape[-1]) == (BATCH * HEADS, TIME, KEY)
    whole = gradscope.jacobian_product(trace, TIME, 1)
    alone = gradscope.jacobian_product(heads, TIME, 1)
    by_sequence = alone.log_spectral_norm().unflatten(0, (BATCH, HEADS))
    torch.testing.assert_close(whole.log_spectral_norm(), by_sequence.amax(-1))
    of_whole = torch.linalg.svdvals(whole.matrix())
    of_heads = torch.linalg.svdvals(alone.matrix()).unflatten(0, (BATCH, HEADS)).flatten(1)
    expected = of_heads.repeat_interleave(VALUE, dim=1).sort(dim=1, descending=True).values
    torch.testing.assert_close(of_whole, expected)


def test_lyapunov_exponents_of_the_heads_are_those_of_the_whole():
    trace, _, _ = trace_of()
    count = HEADS * KEY * VALUE
    whole = gradscope.lyapunov_spectrum(trace, k=count).finite_time
    heads = gradscope.lyapunov_spectrum(by_head(trace), k=KEY).finite_time
    expected = heads.unflatten(0, (BATCH, HEADS)).flatten(1).repeat_interleave(VALUE, dim=1)
    sums = whole.sum(-1), expected.sum(-1)  # of a basis that is drawn, only the sum is the same
    torch.testing.assert_close(sums[0].double(), sums[1].double(), rtol=1e-6, atol=1e-8)


def test_heads_of_a_trace_start_where_its_own_do():
    trace, r, _ = trace_of()
    heads = by_head(trace)
    states = torch.stack(list(r.states()))[..., 0].flatten(1, 2)
    torch.testing.assert_close(heads.states, states)
    again = heads.cell(heads.inputs, heads.states[:-1])
    torch.testing.assert_close(again, states[1:])


def test_adjoint_norms_by_head_stream_or_are_taken_from_the_trace():
    trace, r, by_output = trace_of()
    expected = r.adjoint_log_norms(by_output)
    torch.testing.assert_close(adjoint_log_norms_by_head(trace), expected)
    last = list(r.states())[-1]
    whole = Streamed(lambda: r, math.e * by_output, last)
    known = whole.kept_in(trace)
    assert (streamed(known), whole.value) == (whole, VALUE)
    torch.testing.assert_close(adjoint_log_norms_by_head(known), expected + 1)
    torch.testing.assert_close(whole.effective_rank, effective_rank(last))
    assert Streamed(lambda: r, None, last).adjoint_log_norms is None
    assert streamed(trace) is None
    silent = Trace(trace.cell, trace.inputs, trace.states)
    assert adjoint_log_norms_by_head(silent) is None


def test_transitions_of_a_trace_are_those_that_it_was_made_of():
    trace, r, _ = trace_of()
    torch.testing.assert_close(transitions_of(trace).dense(), r.transitions.dense())


@pytest.mark.parametrize("function", [transitions_of, by_head, adjoint_log_norms_by_head])
def test_a_recurrence_without_heads_is_named(function):
    trace = gradscope.unroll(GRU(3, hidden_size=4), torch.randn(5, 2, 3))
    assert headed(trace) is None
    with pytest.raises(GradscopeError, match="GRU"):
        function(trace)


def test_effective_rank_of_known_matrices():
    eye, one = torch.eye(4, dtype=torch.float64), torch.ones(4, 4, dtype=torch.float64)
    half = torch.diag(torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=torch.float64))
    three_to_one = torch.diag(torch.tensor([3.0, 1.0, 0.0, 0.0], dtype=torch.float64))
    ranks = effective_rank(torch.stack((eye, one, half, 0 * eye, three_to_one, eye * torch.nan)))
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    expected = torch.tensor([4, 1, 2, 0, math.exp(entropy), math.nan], dtype=torch.float64)
    torch.testing.assert_close(ranks, expected, equal_nan=True)


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.99])
def test_the_memory_horizon_of_a_decay_is_one_over_its_logarithm(decay):
    time = 600
    logs = torch.full((time, 1, 1, 1), math.log(decay), dtype=torch.float64)
    lags = list(range(0, time + 1, 5))
    norms, horizons = head_horizons(Transitions.diagonal_of(logs, KEY), lags)
    assert horizons[0][0].lag == pytest.approx(1 / abs(math.log(decay)), rel=1e-6)
    torch.testing.assert_close(norms[:, 0, 0], math.log(decay) * torch.tensor(lags).double())
