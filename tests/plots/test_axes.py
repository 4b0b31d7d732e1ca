"""Limits, meshes, panels and words."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradscope.plots._axes import (
    edges,
    finish,
    foot,
    limits,
    panel_grid,
    panels,
    plain,
    span,
    time_axis,
    wrapped,
)
from gradscope.plots._style import new_figure
from tests.plots.conftest import made

NUMBERS = st.floats(-1e6, 1e6) | st.sampled_from([math.inf, -math.inf, math.nan])


@given(st.lists(NUMBERS, max_size=8))
def test_limits_span_and_foot_hold_every_finite_value(numbers):
    values = pd.Series(numbers, dtype=float)
    finite = [value for value in numbers if math.isfinite(value)]
    low, high, margin = limits(values)
    bottom, top = span(values)
    assert (low, high) == ((min(finite), max(finite)) if finite else (-1.0, 1.0))
    assert margin >= 0.05
    assert bottom < low <= high < top
    assert all(value > foot(values) for value in finite)
    assert math.isfinite(foot(values))


def test_limits_of_known_values():
    assert limits(pd.Series([0.0, 10.0, -math.inf])) == (0.0, 10.0, 0.5)
    assert span(pd.Series([0.0, 10.0])) == (-1.0, 10.5)
    assert foot(pd.Series([-2.0, 8.0])) == -3.0
    assert foot(pd.Series([4.0])) == 3.9  # with one value the margin is a tenth
    assert foot(pd.Series([-math.inf])) == -1.0


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=12, unique=True))
def test_edges_lie_around_their_points(numbers):
    points = np.sort(np.array(numbers, dtype=float))
    borders = edges(points)
    assert len(borders) == len(points) + 1
    assert (borders[:-1] < points).all()
    assert (points < borders[1:]).all()
    if len(points) > 1:
        np.testing.assert_allclose(borders[1:-1], (points[1:] + points[:-1]) / 2, rtol=1e-14)


def test_edges_of_a_regular_grid_are_regular():
    assert edges(np.array([0.0, 2.0, 4.0])).tolist() == [-1.0, 1.0, 3.0, 5.0]


@pytest.mark.parametrize(
    ("count", "grid"), [(1, (1, 1)), (3, (1, 3)), (4, (1, 4)), (5, (2, 4)), (9, (3, 4))]
)
def test_panels_fill_rows_of_four(count, grid):
    assert panels(count) == grid


def test_outer_panels_are_labelled_and_empty_ones_hidden():
    _, axes = new_figure(2, 3, height=2.0)
    finish(axes, 4, "across", "up")
    assert [ax.get_visible() for ax in axes.flat] == [True] * 4 + [False] * 2
    shown = list(axes.flat)[:4]
    assert [ax.get_xlabel() for ax in shown] == ["", "across", "across", "across"]
    assert [ax.get_ylabel() for ax in shown] == ["up", "", "", "up"]


def test_time_runs_to_the_end_where_lengths_differ():
    same = made(norms={"t": [1, 2], "to_end": [-1, 0]})
    assert time_axis(same["norms"], same)[0] == "t"
    mixed = made(norms={"t": [1, 2, 3], "to_end": [-1, 0, 0]})
    column, label = time_axis(mixed["norms"], mixed)
    assert column == "to_end"
    assert "before the end" in label


def test_users_words_are_no_mathematics():
    assert plain("a $x$") == r"a \$x\$"
    assert wrapped("one two three", 7) == "one two\nthree"
    assert wrapped("a $ b", 3) == "a \\$\nb"
    assert wrapped("") == ""


def _swept(first, second):
    labels = [f"{a} · {b}" for a in first for b in second]
    return made(adjoint_norms={"configuration": labels}), labels


def test_a_sweep_of_two_axes_is_a_grid_of_them():
    tables, labels = _swept("wxyz", "ab")
    rows, columns, order = panel_grid(tables, labels)
    assert (rows, columns) == (2, 4)
    assert order == ["w · a", "x · a", "y · a", "z · a", "w · b", "x · b", "y · b", "z · b"]
    tables, labels = _swept("ab", "xyz")
    assert panel_grid(tables, labels) == (2, 3, labels)


def test_other_sweeps_fill_row_by_row():
    tables, labels = _swept("ab", "xyz")
    assert panel_grid(tables, labels[:-1]) == (2, 4, labels[:-1])  # one is missing
    tables, labels = _swept("abcde", "vwxyz")
    assert panel_grid(tables, labels) == (7, 4, labels)  # no axis has room
    tables, labels = _swept("abc", "x")
    assert panel_grid(tables, labels) == (1, 3, labels)
