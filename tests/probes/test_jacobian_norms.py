"""Norms of Jacobian products."""

import pytest

from gradscope.dynamics import jacobian_log_norms
from tests.probes._draw import measured, trace_of


def test_jacobian_norms_are_the_table_of_all_pairs():
    trace = trace_of()
    columns = measured({"name": "jacobian_norms", "sequences": 2}, trace)
    first = trace.first(2)
    tables = {
        ("state", "spectral"): jacobian_log_norms(first),
        ("state", "frobenius"): jacobian_log_norms(first, norm="frobenius"),
        ("hidden", "spectral"): jacobian_log_norms(first, block=first.cell.hidden),
        ("hidden", "frobenius"): jacobian_log_norms(
            first, norm="frobenius", block=first.cell.hidden
        ),
    }
    seen = set()
    for t, k, lag, sequence, block, spectral, frobenius in zip(*columns.values(), strict=True):
        assert lag == t - k
        seen.add((t, k, sequence, block))
        assert spectral == pytest.approx(float(tables[block, "spectral"][t, k, sequence]), abs=1e-9)
        assert frobenius == pytest.approx(
            float(tables[block, "frobenius"][t, k, sequence]), abs=1e-9
        )
    assert len(seen) == len(columns["t"]), "a pair is measured twice"
    assert {(20, 20 - lag) for lag in (0, 1, 2, 3)} <= {(t, k) for t, k, _, _ in seen}
