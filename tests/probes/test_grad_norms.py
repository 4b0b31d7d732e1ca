"""Norms of the parameters' gradients."""

from dataclasses import replace

import pytest

from tests.probes._draw import measured, rows_of, trace_of


def test_norms_before_and_after_the_clip():
    """Gradients of ones, and of halves after the clip."""
    trace = trace_of()
    for row in rows_of(measured("grad_norms", trace)):
        assert row["size"] == trace.update.before[row["parameter"]].numel()
        assert row["grad_norm_preclip"] == pytest.approx(row["size"] ** 0.5)
        assert row["grad_norm_postclip"] == pytest.approx(row["size"] ** 0.5 / 2)


def test_a_trace_without_an_update_has_none():
    assert measured("grad_norms", replace(trace_of(), update=None)) == {}
