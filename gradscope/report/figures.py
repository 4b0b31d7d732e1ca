"""Figures of a page: drawn, saved beside it as SVG, PNG and CSV, and set into it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from pathlib import Path

from matplotlib.figure import Figure

from gradscope.errors import NothingToDrawError
from gradscope.plots import Plot
from gradscope.plots._style import rendered
from gradscope.results.files import write_atomically
from gradscope.results.spreadsheets import csv_of
from gradscope.results.tables import Tables

#: CSS pixels for each inch of a figure, at which its text is as large as the page's small print
_PIXELS = 116


@dataclass(frozen=True)
class Shown:
    """A figure as a page needs it.

    Attributes:
        name: of its files.
        title: its heading.
        caption: what it shows.
        image: a data URI; "" where it could not be drawn.
        width: in CSS pixels.
        files: endings of what is saved of it.
        problem: why it could not be drawn, as a sentence.
    """

    name: str
    title: str
    caption: str = ""
    image: str = ""
    width: int = 0
    files: tuple[str, ...] = ("svg", "png")
    problem: str = ""


def draw_figure(plot: Plot, tables: Tables, folder: Path) -> Shown:
    """Draw one figure and save it as SVG, PNG and CSV.

    Whatever goes wrong is said in its place on the page, so that the other figures are drawn.
    """
    try:
        figure = plot.figure(tables)
        shown = save_figure(figure, plot.name, plot.title, plot.caption(tables), folder)
    except NothingToDrawError as error:
        return undrawn(plot.name, plot.title, str(error))
    except Exception as error:
        return undrawn(plot.name, plot.title, f"{type(error).__name__}: {error}")
    numbers = csv_of(plot.data(tables))
    write_atomically(folder / f"{plot.name}.csv", numbers.encode())
    return replace(shown, files=(*shown.files, "csv"))


def undrawn(name: str, title: str, reason: str) -> Shown:
    """What stands in the place of a figure that could not be drawn."""
    return Shown(name, title, problem=f"This figure could not be drawn: {reason}.")


def save_figure(figure: Figure, name: str, title: str, caption: str, folder: Path) -> Shown:
    """Save a figure as SVG and PNG; returns what a page needs of it.

    Args:
        figure: what is drawn.
        name: of its files.
        title: its heading.
        caption: what it shows.
        folder: where the files go.
    """
    svg = rendered(figure, "svg")
    write_atomically(folder / f"{name}.svg", svg)
    write_atomically(folder / f"{name}.png", rendered(figure, "png"))
    image = "data:image/svg+xml;base64," + base64.b64encode(svg).decode()
    return Shown(name, title, caption, image, round(_PIXELS * figure.get_size_inches()[0]))
