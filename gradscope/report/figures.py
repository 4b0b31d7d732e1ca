"""Figures of a page: drawn, saved beside it as SVG, PNG and CSV, and set into it."""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from matplotlib.figure import Figure

from gradscope.errors import NothingToDrawError
from gradscope.plots import Plot
from gradscope.plots._style import rendered, settled
from gradscope.results.files import write_atomically
from gradscope.results.spreadsheets import csv_of
from gradscope.results.tables import Tables
from gradscope.results.telling import telling

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
        words: what stands in the figure's place where a sentence says all of it.
    """

    name: str
    title: str
    caption: str = ""
    image: str = ""
    width: int = 0
    files: tuple[str, ...] = ("svg", "png")
    problem: str = ""
    words: str = ""


def draw_figure(plot: Plot, tables: Tables, folder: Path) -> Shown:
    """Draw one figure and save it as SVG, PNG and CSV.

    Whatever goes wrong is said in its place on the page, so that the other figures are drawn.
    """
    try:
        shown = _drawn(plot, tables, folder)
    except NothingToDrawError as error:
        return undrawn(plot.name, plot.title, str(error))
    except Exception as error:
        return undrawn(plot.name, plot.title, f"{type(error).__name__}: {error}")
    numbers = csv_of(plot.shown(tables))
    write_atomically(folder / f"{plot.name}.csv", numbers.encode())
    return replace(shown, files=(*shown.files, "csv"))


def _drawn(plot: Plot, tables: Tables, folder: Path) -> Shown:
    """The figure, or the sentence that says all of it."""
    figure = plot.figure(tables)
    if words := plot.in_words(tables):
        return Shown(plot.name, plot.title, words=words, files=())
    caption = f"{plot.caption(tables)} {_counted(tables)}".strip()
    return save_figure(figure, plot.name, plot.title, caption, folder)


def _counted(tables: Tables) -> str:
    """How many configurations and seeds a figure of a sweep is of, and which are named."""
    if not tables.words.of_sweep or "trials" not in tables:
        return ""
    seeds = Counter(tables["trials"]["configuration"])
    lengths = max(len(tables.lengths), 1)
    counts = sorted({-(-count // lengths) for count in seeds.values()})
    if not counts:
        return ""
    each = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    plural = "s" * (len(seeds) > 1), "s" * (counts[-1] > 1)
    said = f"{len(seeds)} configuration{plural[0]}, {each} seed{plural[1]}"
    named = len(telling(tables))
    if named == len(tables.configurations):
        return f"{said} each." if len(seeds) > 1 else f"{said}."
    return (
        f"{said} each; {named} are named, the best, the worst and as many between: the explorer "
        "and the CSV have all."
    )


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
    settled(figure)
    svg = rendered(figure, "svg")
    write_atomically(folder / f"{name}.svg", svg)
    write_atomically(folder / f"{name}.png", rendered(figure, "png"))
    image = "data:image/svg+xml;base64," + base64.b64encode(svg).decode()
    return Shown(name, title, caption, image, round(_PIXELS * figure.get_size_inches()[0]))
