"""Norms of Jacobian products by lag, and the grids on which they are taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradscope.dynamics import jacobian_log_norms
from gradscope.probes._norms import even_grid, lag_grid, norms_by_lag
from tests.probes._draw import trace_of


@given(st.integers(1, 300), st.integers(3, 40))
def test_grids_are_ascending_within_their_ends_and_not_too_long(last, points):
    for grid in (even_grid(last, points), lag_grid(last, points)):
        assert grid == sorted(set(grid))
        assert (grid[0], grid[-1]) == (0, last)
        assert len(grid) <= points
    assert len(even_grid(last, points)) == min(points, last + 1)


@given(st.integers(10, 300), st.integers(8, 40))
def test_lags_are_dense_near_zero(last, points):
    gaps = [b - a for a, b in zip(lag_grid(last, points), lag_grid(last, points)[1:], strict=False)]
    assert gaps[0] == 1
    assert gaps[-1] == max(gaps)


def test_norms_by_lag_are_those_of_the_last_step():
    trace = trace_of()
    by_lag = norms_by_lag(trace, [0, 2, 20])
    state = jacobian_log_norms(trace, norm="frobenius")
    hidden = jacobian_log_norms(trace, block=trace.cell.hidden)
    for row, lag in enumerate([0, 2, 20]):
        for sequence in range(4):
            assert float(by_lag["state", "frobenius"][row, sequence]) == pytest.approx(
                float(state[20, 20 - lag, sequence]), abs=1e-9
            )
            assert float(by_lag["hidden", "spectral"][row, sequence]) == pytest.approx(
                float(hidden[20, 20 - lag, sequence]), abs=1e-9
            )
    assert norms_by_lag(trace, [0, 2, 20]) is by_lag
