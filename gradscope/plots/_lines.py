"""Lines over trials: a line for each configuration, bands, and those of the rest in grey."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from gradscope.plots._axes import span
from gradscope.plots._looks import REFERENCE, Colour, Look, legend, looks
from gradscope.plots._rows import moments
from gradscope.plots._style import FAINT, new_figure, points
from gradscope.results.scales import Scale
from gradscope.results.statistics import median
from gradscope.results.tables import Tables

#: points of a line that are all marked; of a longer one some are
_FEW, _MARKED = 12, 6


def lines(
    axes: Axes,
    frame: pd.DataFrame,
    tables: Tables,
    *,
    x: str,
    y: str,
    floor: float | None = None,
    scale: Scale = Scale.MEAN,
) -> None:
    """A line over trials for each configuration, with the band from the least to the greatest.

    Over sequences of a trial it is the median, over trials what the summary has on this scale.
    Logarithms of exact zeros take part as -inf: the band then reaches down to ``floor``, and where
    the line itself is -inf it ends in a triangle there. Of many configurations those without a
    place in the legend are thin grey lines behind.
    """
    look = looks(tables)
    there = dict(list(frame.groupby("configuration", sort=False)))
    behind = [
        centres(rows, x=x, y=y, scale=scale).replace(-np.inf, np.nan)
        for label, rows in there.items()
        if not look[str(label)].named
    ]
    if behind:
        paths = [np.column_stack([line.index, line]) for line in behind]
        axes.add_collection(LineCollection(paths, colors=FAINT, linewidths=0.5, alpha=0.6))
    named = [label for label in tables.configurations if label in there and look[label].named]
    for place, label in enumerate(named):
        shift = place / max(len(named), 1)
        _draw(axes, there[label], look[label], shift, x=x, y=y, floor=floor, scale=scale)
    axes.autoscale_view()
    if pd.api.types.is_integer_dtype(frame[x]) and axes.get_xscale() == "linear":
        axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 5, 10], integer=True))


def _draw(
    axes: Axes,
    rows: pd.DataFrame,
    look: Look,
    shift: float,
    *,
    x: str,
    y: str,
    floor: float | None,
    scale: Scale,
) -> None:
    """One configuration's line and band; ``shift`` keeps its marks apart from those of others."""
    by_x = rows.groupby(x)[y]
    middle, low, high = centres(rows, x=x, y=y, scale=scale), by_x.min(), by_x.max()
    if floor is not None and (gone := middle.index[middle == -np.inf]).size:
        axes.plot([gone[0]], [floor], marker="v", color=look.colour, clip_on=False, linestyle="")
    foot = np.nan if floor is None else floor
    low, high = (edge.replace(-np.inf, foot) for edge in (low, high))
    middle = middle.replace(-np.inf, np.nan)
    every = max(1, len(middle) // _MARKED)
    axes.plot(
        middle.index,
        middle,
        color=look.colour,
        linestyle=look.dash,
        linewidth=points(1.7),
        marker=look.marker,
        markersize=points(4),
        markevery=1 if len(middle) <= _FEW else (int(shift * every), every),
    )
    axes.fill_between(middle.index, low, high, color=look.colour, alpha=0.13, linewidth=0)


def centres(frame: pd.DataFrame, *, x: str, y: str, scale: Scale) -> pd.Series:
    """A configuration's centre at each x: over a trial's sequences, then over its trials."""
    if "trial" in frame and frame.duplicated([x, "trial"]).any():
        frame = frame.groupby([x, "trial"])[y].apply(median).reset_index()
    places = frame.groupby(x).indices
    values = frame[y].to_numpy(dtype=float)
    return pd.Series({at: scale.centre(values[rows]) for at, rows in places.items()}, dtype=float)


def circles(axes: Axes, x: ArrayLike, y: ArrayLike, colour: Colour) -> None:
    """What a theory predicts, as open circles."""
    axes.plot(
        x,
        y,
        color=colour,
        linestyle="",
        marker="o",
        markerfacecolor="white",
        markersize=points(6),
    )


def circle(colour: str) -> Line2D:
    """The sample of ``circles`` in a legend."""
    return Line2D([], [], color=colour, linestyle="", marker="o", markerfacecolor="white")


def reference(axes: Axes, *, x: float | None = None, y: float | None = None) -> None:
    """A dotted line at a value that others are held against."""
    if x is not None:
        axes.axvline(x, color=FAINT, linewidth=1.2, linestyle=REFERENCE)
    if y is not None:
        axes.axhline(y, color=FAINT, linewidth=1.2, linestyle=REFERENCE)


def lines_by_moment(
    frame: pd.DataFrame,
    tables: Tables,
    *,
    x: str,
    y: str,
    xlabel: str,
    ylabel: str,
    height: float = 3.9,
    zero: bool = False,
    theory: Callable[[Axes, str], dict[str, Line2D]] | None = None,
) -> Figure:
    """A panel of ``lines`` for the first and for the last measurement, on one scale.

    Args:
        frame: with a column ``when``.
        tables: that it is of.
        x: column of the horizontal axis.
        y: column of the vertical one, logarithms.
        xlabel: under every panel.
        ylabel: beside the first one.
        height: of the figure, in inches.
        zero: whether a dotted line marks 0.
        theory: draws what the lines of a moment are held against into a panel, and returns what
            the legend says of it.
    """
    times = moments(frame, tables)
    figure, axes = new_figure(1, len(times), height=height, sharex=True, sharey=True)
    bottom, top = span(frame[y])
    more: dict[str, Line2D] = {}
    for ax, when in zip(axes[0], times, strict=True):
        lines(ax, frame[frame["when"] == when], tables, x=x, y=y, floor=bottom)
        if zero:
            reference(ax, y=0)
        if theory is not None:
            more |= theory(ax, when)
        ax.set(xlabel=xlabel, title=when, ylim=(bottom, top))
    axes[0, 0].set_ylabel(ylabel)
    legend(figure, tables, frame["configuration"], **more)
    return figure
