"""Figures drawn, saved beside a page, and set into it."""

import base64
import json

import pandas as pd
import pytest
from matplotlib.figure import Figure

from gradscope.errors import NothingToDrawError
from gradscope.plots import Plot, register
from gradscope.report import write_report
from gradscope.report.figures import draw_figure, save_figure, undrawn
from gradscope.results.tables import Tables
from tests.components.conftest import _forgotten_afterwards  # noqa: F401 - of every test here

NO_TABLES = Tables({}, [])


@pytest.fixture
def line():
    """Makes a plot of two points, or of whatever goes wrong on the way to them."""

    def make(no_data=None, no_drawing=None):
        @register("line")
        class Line(Plot):
            """A line."""

            title = "A line"
            requires = ()
            over = "x"

            def data(self, tables):
                if no_data is not None:
                    raise no_data
                return pd.DataFrame({"x": [0, 1], "y": [2.5, 3.5]})

            def draw(self, tables):
                if no_drawing is not None:
                    raise no_drawing
                figure = Figure(figsize=(5, 3))
                figure.subplots().plot(*self.data(tables).to_numpy().T)
                return figure

            def caption(self, tables):
                return "y over x."

        return Line()

    return make


def test_a_figure_is_saved_as_picture_and_numbers(line, tmp_path):
    shown = draw_figure(line(), NO_TABLES, tmp_path)
    assert (shown.name, shown.title, shown.caption) == ("line", "A line", "y over x.")
    assert shown.problem == ""
    assert shown.width == 580  # five inches of 116 pixels
    kind, _, content = shown.image.partition(",")
    assert kind == "data:image/svg+xml;base64"
    assert base64.b64decode(content) == (tmp_path / "line.svg").read_bytes()
    assert (tmp_path / "line.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "line.csv").read_text() == "x,y\n0,2.5\n1,3.5\n"


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        ({"no_data": NothingToDrawError("nothing was recorded")}, "nothing was recorded"),
        ({"no_drawing": ZeroDivisionError("by zero")}, "ZeroDivisionError: by zero"),
    ],
)
def test_one_that_cannot_be_drawn_says_why_and_leaves_no_file(errors, reason, line, tmp_path):
    shown = draw_figure(line(**errors), NO_TABLES, tmp_path)
    assert shown == undrawn("line", "A line", reason)
    assert shown.problem == f"This figure could not be drawn: {reason}."
    assert shown.image == ""
    assert list(tmp_path.iterdir()) == []


def test_a_figure_is_the_same_to_the_byte_whenever_it_is_drawn(line, tmp_path):
    plot = line()
    for folder in ("a", "b"):
        save_figure(plot.figure(NO_TABLES), "line", "A line", "", tmp_path / folder)
    for suffix in ("svg", "png"):
        first, second = ((tmp_path / f / f"line.{suffix}").read_bytes() for f in ("a", "b"))
        assert first == second


def test_a_plot_that_is_asked_for_twice_has_two_figures(recorded):
    run = recorded(
        "cell: rnn\nprobes: [jacobian_norms]\nfigures:\n"
        "  - jacobian_heatmap\n  - {name: jacobian_heatmap, block: state}\n"
    )
    [page] = write_report(run, ["ipynb"])
    cells = json.loads(page.read_text())["cells"]
    sources = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
    assert sources[1:] == [
        "gradscope.plots.jacobian_heatmap(run)",
        "gradscope.plots.jacobian_heatmap(run, block='state')",
    ]
    assert (run.path / "figures" / "jacobian_heatmap_2.svg").is_file()
