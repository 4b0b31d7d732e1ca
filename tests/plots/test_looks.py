"""Colours, dashes, legends and lines."""

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gradscope.plots._looks import DASHES, legend, lines, lines_by_moment, looks
from gradscope.plots._style import new_figure
from tests.plots.conftest import made


def _tables(*labels):
    return made(norms={"configuration": list(labels)})


def test_two_axes_are_colour_and_dashes(tiny):
    chosen = looks(tiny)
    assert list(chosen) == tiny.configurations
    assert len({look.colour for look in chosen.values()}) == 4
    assert len({str(look.dash) for look in chosen.values()}) == 2
    for label, look in chosen.items():
        network, clip = tiny.axes[label]
        same = [other for other, labels in tiny.axes.items() if labels[0] == network]
        assert all(chosen[other].colour == look.colour for other in same)
        same = [other for other, labels in tiny.axes.items() if labels[1] == clip]
        assert all(chosen[other].dash == look.dash for other in same)


@pytest.mark.parametrize(
    "labels",
    [
        ["a", "b", "c"],
        ["only · x", "only · y"],  # the first axis tells nothing apart
        ["a · x", "b · x"],  # nor does the second
        [f"{first} · {second}" for first in "ab" for second in range(len(DASHES) + 1)],
        ["a · x · 1", "b · y · 2"],
        [str(number) for number in range(30)],
    ],
)
def test_otherwise_every_configuration_has_a_colour(labels):
    chosen = looks(_tables(*labels))
    assert len({look.colour for look in chosen.values()}) == len(labels)
    assert {look.dash for look in chosen.values()} == {"-"}


def test_a_legend_names_what_is_there_and_others():
    tables = _tables("a $", "b", "c")
    figure, _ = new_figure(1, 1, height=2.0)
    legend(figure, tables, pd.Series(["c", "a $"]), baseline=Line2D([], []))
    (box,) = figure.legends
    assert [text.get_text() for text in box.get_texts()] == [r"a \$", "c", "baseline"]


def test_room_for_a_long_legend_is_not_taken_from_the_axes():
    tables = _tables(*(f"a rather long label of a configuration, number {n}" for n in range(20)))
    figure, _ = new_figure(1, 1, height=2.0)
    legend(figure, tables, pd.Series(tables.configurations))
    assert figure.get_figheight() > 3.0


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
