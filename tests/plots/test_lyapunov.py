"""Lyapunov spectra."""

import math

import numpy as np
import pytest

from gradscope.plots.lyapunov import LyapunovPlot
from tests.plots.conftest import made


def _panel(error):
    tables = made(
        lyapunov={
            "train_step": 5,
            "index": [0, 1, 2],
            "exponent": [0.5, -0.5, -math.inf],
            "standard_error": [error, math.nan, math.nan],
            "adjoint_exponent": 0.0,
            "kaplan_yorke": 1.0,
            "entropy_rate": 0.5,
        }
    )
    (panel,) = LyapunovPlot().figure(tables).axes
    return panel


def test_ranks_count_from_one_and_minus_infinity_is_a_triangle():
    triangle, line, *_ = _panel(0.1).lines
    assert (triangle.get_marker(), list(triangle.get_xdata())) == ("v", [3])
    assert triangle.get_ydata()[0] == pytest.approx(-0.6)  # a tenth of the range below the least
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(line.get_ydata(), [0.5, -0.5, math.nan])


def test_the_largest_has_its_error_where_it_is_known():
    (bar,) = [part for part in _panel(0.1).collections if hasattr(part, "get_segments")]
    assert bar.get_segments()[0].tolist() == [[1.0, 0.4], [1.0, 0.6]]
    assert not [part for part in _panel(math.nan).collections if hasattr(part, "get_segments")]
