"""Figures of a page: drawn, saved beside it as SVG, PNG and CSV, and set into it."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from matplotlib.figure import Figure

from gradscope.errors import ConfigError, NothingToDrawError
from gradscope.plots import PLOTS, Plot
from gradscope.plots._fonts import unknown_signs
from gradscope.plots._style import WIDTH, column, rendered, settled
from gradscope.report.drawing import in_parallel
from gradscope.report.paper import write_paper_figure
from gradscope.results.files import write_atomically
from gradscope.results.spreadsheets import csv_of
from gradscope.results.tables import Tables
from gradscope.results.telling import telling

#: CSS pixels for each inch of a figure, at which its text is as large as the page's small print
_PIXELS = 116
#: CSS pixels of a figure that takes the whole width
FULL_WIDTH = round(_PIXELS * WIDTH)


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
        call: the Python that draws it of a run called ``run``.
    """

    name: str
    title: str
    caption: str = ""
    image: str = ""
    width: int = 0
    files: tuple[str, ...] = ("svg", "png")
    problem: str = ""
    words: str = ""
    call: str = ""


def drawn(
    named: Sequence[Mapping[str, object]] | None,
    tables: Tables,
    folder: Path,
    *,
    for_paper: bool = False,
) -> list[Shown]:
    """The figures that an experiment names; if it names none, all that can be drawn.

    Args:
        named: plots with their options, as an experiment has them.
        tables: of the run.
        folder: where the files go.
        for_paper: whether each is drawn once more into ``paper``, one column wide.
    """
    if named is None:
        drawable = [plot for plot in PLOTS.classes() if not plot.missing(tables)]
        chosen: list[Plot | Shown] = [plot() for plot in sorted(drawable, key=_order)]
    else:
        chosen = [_named(value) for value in named]
    names = _file_names(chosen)
    for table in tables:  # read once, before several processes need them
        tables[table]

    def draw(place: int) -> Shown:
        plot, name = chosen[place], names[place]
        if isinstance(plot, Shown):
            return plot
        shown = draw_figure(plot, tables, folder, name)
        if for_paper and shown.image:
            with column():
                figure = plot.figure(tables)
                write_paper_figure(figure, name, shown.caption, folder / "paper")
        return shown

    return in_parallel(draw, len(chosen))


def _file_names(plots: Sequence[Plot | Shown]) -> list[str]:
    """Names of their files: one that is asked for once more, with other options, is numbered."""
    made, names = Counter[str](), []
    for plot in plots:
        made[plot.name] += 1
        names.append(plot.name if made[plot.name] == 1 else f"{plot.name}_{made[plot.name]}")
    return names


def _order(plot: type[Plot]) -> int:
    return plot.order


def _named(value: Mapping[str, object]) -> Plot | Shown:
    """A plot by its name and options; in the place of an unknown one, what is wrong."""
    try:
        return PLOTS.make(value)
    except ConfigError as error:
        name = str(value.get("name", "figure"))
        reason = f"{error.message}; a plot of your own is loaded with --with FILE"
        return undrawn(name, name.replace("_", " ").capitalize(), reason)


def draw_figure(plot: Plot, tables: Tables, folder: Path, name: str = "") -> Shown:
    """Draw one figure and save it as SVG, PNG and CSV.

    Whatever goes wrong is said in its place on the page, so that the other figures are drawn.

    Args:
        plot: what is drawn.
        tables: of what.
        folder: where the files go.
        name: of the files; "" is the plot's.
    """
    name = name or plot.name
    try:
        shown = _drawn(plot, tables, folder, name)
    except NothingToDrawError as error:
        return undrawn(name, plot.title, str(error))
    except Exception as error:
        return undrawn(name, plot.title, f"{type(error).__name__}: {error}")
    numbers = csv_of(plot.shown(tables))
    write_atomically(folder / f"{name}.csv", numbers.encode())
    return replace(shown, files=(*shown.files, "csv"), call=_call(plot))


def _drawn(plot: Plot, tables: Tables, folder: Path, name: str) -> Shown:
    """The figure, or the sentence that says all of it."""
    figure = plot.figure(tables)
    if words := plot.in_words(tables):
        return Shown(name, plot.title, words=words, files=())
    caption = f"{plot.caption(tables)} {_counted(tables)}".strip()
    if unknown := unknown_signs(figure):
        caption += f" Where this was drawn no font has {unknown}: the PNG shows boxes for it."
    return save_figure(figure, name, plot.title, caption, folder)


def _call(plot: Plot) -> str:
    """The Python that draws it."""
    options = plot.model_dump(mode="json", exclude_defaults=True)
    given = "".join(f", {key}={value!r}" for key, value in options.items())
    return f"gradscope.plots.{plot.name}(run{given})"


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
