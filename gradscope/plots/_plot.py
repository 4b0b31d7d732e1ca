"""Plot: DataFrames -> Figure; with what the figures share in looks."""

from __future__ import annotations

import textwrap
from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gradscope.components.base import Component
from gradscope.components.kind import Kind
from gradscope.results.tables import Tables, median

WIDTH = 9.0  # inches of a full figure
INK, FAINT = "#22272e", "#8a939e"

STYLE = {
    **sns.axes_style("ticks"),
    **sns.plotting_context("notebook", font_scale=0.85),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "grid.color": "#e6e8eb",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.dpi": 100,
    "savefig.dpi": 150,
    "svg.hashsalt": "gradscope",
    "font.family": "DejaVu Sans",
}


class Plot(Component):
    """Base of all plots: one question, drawn from tables; tables come in and stay as they are."""

    component_kind: ClassVar[str] = "plot"

    #: tables without which there is nothing to draw
    requires: ClassVar[tuple[str, ...]]
    #: tables of which one is enough
    requires_any: ClassVar[tuple[str, ...]] = ()
    #: heading in the report
    title: ClassVar[str]
    #: place among the report's figures, ascending
    order: ClassVar[int]

    @classmethod
    def missing(cls, tables: Tables) -> list[str]:
        """The tables that are wanting before it can be drawn."""
        wanting = [name for name in cls.requires if name not in tables]
        found = not cls.requires_any or any(name in tables for name in cls.requires_any)
        return wanting if found else [*wanting, cls.requires_any[0]]

    @abstractmethod
    def data(self, tables: Tables) -> pd.DataFrame:
        """What is drawn, tidy; empty if the run holds nothing of it. Saved as CSV beside the
        figure.
        """

    @abstractmethod
    def draw(self, tables: Tables) -> Figure:
        """The figure."""

    @abstractmethod
    def caption(self, tables: Tables) -> str:
        """What is measured, in what unit, and how lines and bands come from trials."""


def new_figure(
    rows: int, columns: int, *, width: float = WIDTH, height: float, **kwargs: bool | str
) -> tuple[Figure, np.ndarray]:
    """A figure with a grid of axes, outside pyplot's global state; draw inside
    ``mpl.rc_context(STYLE)``.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.06, hspace=0.06)  # type: ignore[union-attr]
    return figure, np.atleast_2d(figure.subplots(rows, columns, squeeze=False, **kwargs))  # type: ignore[arg-type]


class Look(NamedTuple):
    """How a configuration is drawn, the same in every figure."""

    colour: tuple[float, float, float]
    dash: Any


DASHES: tuple[Any, ...] = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (8, 3)))


def looks(tables: Tables) -> dict[str, Look]:
    """Colour by the sweep's first axis and dashes by its second; where that is not enough, a colour
    for each configuration.
    """
    labels = tables.configurations
    axes = tables.axes
    first = list(dict.fromkeys(parts[0] for parts in axes.values()))
    second = list(dict.fromkeys(parts[1] for parts in axes.values() if len(parts) == 2))
    two = (
        all(len(parts) == 2 for parts in axes.values())
        and 1 < len(second) <= len(DASHES)
        and len(first) > 1
    )
    colours = _colours(len(first) if two else len(labels))
    if two:
        return {
            label: Look(colours[first.index(parts[0])], DASHES[second.index(parts[1])])
            for label, parts in axes.items()
        }
    return {label: Look(colour, "-") for label, colour in zip(labels, colours, strict=True)}


def _colours(count: int) -> list[tuple[float, float, float]]:
    # seaborn's colour-blind safe set, without the pale yellow and the grey that a band hides
    safe = [
        colour for i, colour in enumerate(sns.color_palette("colorblind")) if i not in (6, 7, 8)
    ]
    return safe[:count] if count <= len(safe) else list(sns.husl_palette(count, l=0.55))


def legend(figure: Figure, tables: Tables, present: pd.Series, **others: Line2D) -> None:
    """One legend of configurations, and of ``others``, under the whole figure."""
    shown, look = set(present), looks(tables)
    handles = {
        label: Line2D([], [], color=look[label].colour, linestyle=look[label].dash, linewidth=2)
        for label in tables.configurations
        if label in shown
    } | others
    longest = max(map(len, handles), default=1)
    columns = max(1, min(len(handles), 110 // (longest + 8)))
    if (
        rows := -(-len(handles) // columns)
    ) > 4:  # room for a long legend is not taken from the axes
        figure.set_figheight(figure.get_figheight() + 0.21 * (rows - 4))
    figure.legend(
        list(handles.values()),
        [plain(label) for label in handles],
        loc="outside lower center",
        handlelength=2.6,
        ncols=columns,
    )


def lines(
    axes: Axes, frame: pd.DataFrame, tables: Tables, *, x: str, y: str, floor: float | None = None
) -> None:
    """Median over trials for each configuration, with the band from the least to the greatest.

    Logarithms of exact zeros take part as -inf: the band then reaches down to ``floor``, and where
    the median itself is -inf the line ends in a triangle there.
    """
    for label, look in looks(tables).items():
        own = frame[frame["configuration"] == label]
        if own.empty:
            continue
        by_x = own.groupby(x)[y]
        middle, low, high = by_x.apply(median), by_x.min(), by_x.max()
        if floor is not None and (gone := middle.index[middle == -np.inf]).size:
            axes.plot(
                [gone[0]], [floor], marker="v", color=look.colour, clip_on=False, linestyle=""
            )
        low, high = (
            edge.replace(-np.inf, np.nan if floor is None else floor) for edge in (low, high)
        )
        middle = middle.replace(-np.inf, np.nan)
        point = (
            "o" if int(middle.notna().sum()) == 1 else None
        )  # a line of one point would not be seen
        axes.plot(
            middle.index,
            middle,
            color=look.colour,
            linestyle=look.dash,
            linewidth=1.7,
            marker=point,
            markersize=4,
        )
        axes.fill_between(middle.index, low, high, color=look.colour, alpha=0.13, linewidth=0)
    if pd.api.types.is_integer_dtype(frame[x]) and axes.get_xscale() == "linear":
        axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 5, 10], integer=True))


def limits(values: pd.Series) -> tuple[float, float, float]:
    """(least, greatest, margin) of the finite values, for an axis that shows them; -1 and 1 where
    there are none.
    """
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if len(finite) else (-1.0, 1.0)
    return low, high, 0.05 * max(high - low, 1.0)


def time_axis(frame: pd.DataFrame, tables: Tables) -> tuple[str, str]:
    """(column, label): t, or t - T where sequences of several lengths have their ends in common."""
    return (
        ("t", "t (steps)")
        if tables.same_time(frame)
        else ("to_end", "t − T (steps before the end)")
    )


def panels(count: int, columns: int = 4) -> tuple[int, int]:
    """Rows and columns for so many small panels."""
    columns = min(count, columns)
    return -(-count // columns), columns


def finish(axes: np.ndarray, shown: int, x: str, y: str) -> None:
    """Label the outer panels of a grid and hide those without a configuration."""
    columns = axes.shape[1]
    for index, ax in enumerate(axes.flat):
        ax.set_visible(index < shown)
        if index + columns >= shown:  # nothing below
            ax.set_xlabel(x)
            ax.tick_params(labelbottom=True)
        if index % columns == 0:
            ax.set_ylabel(y)


def edges(points: np.ndarray) -> np.ndarray:
    """Borders of the cells of a mesh around ascending points: halfway between neighbours, and as
    far beyond the ends.
    """
    if len(points) == 1:
        return np.array([points[0] - 0.5, points[0] + 0.5])
    middle = (points[1:] + points[:-1]) / 2
    return np.concatenate(([2 * points[0] - middle[0]], middle, [2 * points[-1] - middle[-1]]))


def plain(text: str) -> str:
    """A user's words, which are not mathematics between dollar signs."""
    return text.replace("$", r"\$")


def wrapped(text: str, width: int = 26) -> str:
    """A user's words broken into lines."""
    return plain("\n".join(textwrap.wrap(text, width)) or text)


def first_trials(tables: Tables, name: str, limit: int) -> list[tuple[str, str]]:
    """(configuration, its first trial at the greatest length) for at most ``limit`` configurations."""
    frame = tables.at_longest(name)
    found = frame.sort_values("seed").groupby("configuration")["trial"].first()
    return [(label, found[label]) for label in tables.configurations if label in found.index][
        :limit
    ]


def styled() -> mpl.rc_context:  # type: ignore[valid-type]
    """The context in which figures are made and saved."""
    return mpl.rc_context(STYLE)


#: every plot
PLOTS: Kind[Plot, Plot] = Kind("plot")
register = PLOTS.register
