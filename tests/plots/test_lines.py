"""Lines over trials, their bands, and those of the rest."""

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gradscope.plots._lines import lines, lines_by_moment, reference
from gradscope.plots._looks import DASHES, REFERENCE, looks
from tests.plots.conftest import made


def _tables(*labels):
    return made(norms={"configuration": list(labels)})


def _axes() -> Axes:
    return Figure().subplots()


def _points(line: Line2D) -> list[tuple[float, float]]:
    return list(zip(np.asarray(line.get_xdata()), np.asarray(line.get_ydata()), strict=True))


def test_a_line_is_the_mean_and_its_band_the_range():
    tables, axes = _tables("a"), _axes()
    frame = pd.DataFrame(
        {"configuration": "a", "x": [0, 0, 0, 1, 1, 1], "y": [1.0, 2.0, 9.0, 3.0, 4.0, 5.0]}
    )
    lines(axes, frame, tables, x="x", y="y")
    (line,) = axes.lines
    assert _points(line) == [(0, 4.0), (1, 4.0)]
    (band,) = axes.collections
    corners = {(float(x), float(y)) for x, y in band.get_paths()[0].vertices}
    assert corners == {(0, 1.0), (0, 9.0), (1, 3.0), (1, 5.0)}
    assert to_rgb(line.get_color()) == pytest.approx(looks(tables)["a"].colour)


def test_a_line_of_one_point_is_seen():
    axes = _axes()
    frame = pd.DataFrame({"configuration": "a", "x": [3], "y": [1.0]})
    lines(axes, frame, _tables("a", "b"), x="x", y="y")
    (line,) = axes.lines
    assert line.get_marker() == "o"


@pytest.mark.parametrize(("dead", "drawn"), [(2, False), (1, True)])
def test_exact_zeros_count_in_the_median(dead, drawn):
    """Two of three seeds dead: the line ends in a triangle; one of three: the others' median."""
    values = [-math.inf] * dead + [-1.0] * (3 - dead)
    frame = pd.DataFrame({"configuration": "a", "x": [1, 1, 1], "y": values})
    axes = _axes()
    lines(axes, frame, _tables("a"), x="x", y="y", floor=-5.0)
    triangles = [line for line in axes.lines if line.get_marker() == "v"]
    (line,) = [line for line in axes.lines if line not in triangles]
    if drawn:
        assert not triangles
        assert _points(line) == [(1, -1.0)]
    else:
        assert [_points(triangle) for triangle in triangles] == [[(1, -5.0)]]
        assert np.isnan(_points(line)[0][1])
    lowest = min(y for _, y in axes.collections[0].get_paths()[0].vertices) if drawn else -5.0
    assert lowest == -5.0  # the band reaches down to the dead


def test_whole_numbers_get_whole_ticks():
    axes = _axes()
    frame = pd.DataFrame({"configuration": "a", "x": [0, 1, 2], "y": [1.0, 2.0, 3.0]})
    lines(axes, frame, _tables("a"), x="x", y="y")
    axes.set_xlim(0, 2)
    assert all(float(tick).is_integer() for tick in axes.get_xticks())


def test_a_panel_for_each_moment_on_one_scale():
    tables = made(norms={"train_step": [0, 0, 5, 5], "x": [0, 1, 0, 1], "y": [0.0, -4.0, 2.0, 6.0]})
    figure = lines_by_moment(
        tables.first_and_last("norms"), tables, x="x", y="y", xlabel="x", ylabel="y", zero=True
    )
    before, after = figure.axes
    assert (before.get_title(), after.get_title()) == ("before training", "end of training")
    assert before.get_ylim() == after.get_ylim() == (-5.0, 6.5)
    assert _points(before.lines[0]) == [(0, 0.0), (1, -4.0)]
    assert _points(after.lines[0]) == [(0, 2.0), (1, 6.0)]
    assert (before.get_ylabel(), after.get_ylabel()) == ("y", "")
    assert before.get_xlabel() == after.get_xlabel() == "x"
    (box,) = figure.legends
    assert [text.get_text() for text in box.get_texts()] == ["a"]


def test_of_many_those_without_a_name_are_grey_behind():
    labels = [f"{n:02d}" for n in range(30)]
    tables, axes = _tables(*labels), _axes()
    frame = pd.DataFrame(
        {"configuration": np.repeat(labels, 2), "x": [0, 1] * 30, "y": np.arange(60.0)}
    )
    lines(axes, frame, tables, x="x", y="y")
    (behind,) = [one for one in axes.collections if isinstance(one, LineCollection)]
    assert len(axes.lines) == 12
    assert len(behind.get_paths()) == 18
    low, high = axes.get_ylim()
    assert low <= 0.0
    assert high >= 59.0


def test_a_long_line_is_marked_here_and_there_and_apart_from_others():
    tables, axes = _tables("a", "b"), _axes()
    x = list(range(60))
    frame = pd.DataFrame(
        {"configuration": ["a"] * 60 + ["b"] * 60, "x": x * 2, "y": [0.0] * 60 + [1.0] * 60}
    )
    lines(axes, frame, tables, x="x", y="y")
    first, second = axes.lines
    assert first.get_markevery() == (0, 10)
    assert second.get_markevery() == (5, 10)
    assert first.get_marker() != second.get_marker()


def test_references_have_a_dash_of_their_own():
    axes = _axes()
    reference(axes, x=1)
    reference(axes, y=2)
    assert all(line.get_linestyle() == ":" or line._dash_pattern for line in axes.lines)
    assert REFERENCE not in DASHES
