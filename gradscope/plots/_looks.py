"""How configurations are drawn, the same in every figure: colours, dashes, legends and lines."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gradscope.plots._axes import plain, span
from gradscope.plots._rows import moments
from gradscope.plots._style import FAINT, new_figure
from gradscope.results.scales import Scale
from gradscope.results.statistics import median
from gradscope.results.tables import Tables

Colour = tuple[float, float, float]
Dash = Literal["-"] | tuple[float, tuple[float, ...]]


class Look(NamedTuple):
    """How a configuration is drawn."""

    colour: Colour
    dash: Dash


DASHES: tuple[Dash, ...] = (
    "-",
    (0, (4, 2)),
    (0, (1, 1.5)),
    (0, (5, 1.5, 1, 1.5)),
    (0, (8, 3)),
)


def looks(tables: Tables) -> dict[str, Look]:
    """Colour by the sweep's first axis and dashes by its second.

    Where that is not enough, a colour for each configuration.
    """
    axes = tables.axes.values()
    first = list(dict.fromkeys(labels[0] for labels in axes))
    second = list(dict.fromkeys(labels[1] for labels in axes if len(labels) == 2))
    few = len(first) > 1 and 1 < len(second) <= len(DASHES)
    if few and all(len(labels) == 2 for labels in axes):
        colours = _colours(len(first))
        return {
            configuration: Look(colours[first.index(labels[0])], DASHES[second.index(labels[1])])
            for configuration, labels in tables.axes.items()
        }
    colours = _colours(len(tables.configurations))
    pairs = zip(tables.configurations, colours, strict=True)
    return {configuration: Look(colour, "-") for configuration, colour in pairs}


def _colours(count: int) -> list[Colour]:
    # seaborn's colour-blind safe set, without the pale yellow and the grey that a band hides
    palette = sns.color_palette("colorblind")
    safe = [colour for i, colour in enumerate(palette) if i not in (6, 7, 8)]
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
    rows = -(-len(handles) // columns)
    if rows > 4:  # room for a long legend is not taken from the axes
        figure.set_figheight(figure.get_figheight() + 0.21 * (rows - 4))
    figure.legend(
        list(handles.values()),
        [plain(label) for label in handles],
        loc="outside lower center",
        handlelength=2.6,
        ncols=columns,
    )


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
    the line itself is -inf it ends in a triangle there.
    """
    for label, look in looks(tables).items():
        rows = frame[frame["configuration"] == label]
        if rows.empty:
            continue
        by_x = rows.groupby(x)[y]
        middle, low, high = centres(rows, x=x, y=y, scale=scale), by_x.min(), by_x.max()
        if floor is not None and (gone := middle.index[middle == -np.inf]).size:
            axes.plot(
                [gone[0]], [floor], marker="v", color=look.colour, clip_on=False, linestyle=""
            )
        low, high = (
            edge.replace(-np.inf, np.nan if floor is None else floor) for edge in (low, high)
        )
        middle = middle.replace(-np.inf, np.nan)
        # a line of one point would not be seen
        marker = "o" if int(middle.notna().sum()) == 1 else None
        axes.plot(
            middle.index,
            middle,
            color=look.colour,
            linestyle=look.dash,
            linewidth=1.7,
            marker=marker,
            markersize=4,
        )
        axes.fill_between(middle.index, low, high, color=look.colour, alpha=0.13, linewidth=0)
    if pd.api.types.is_integer_dtype(frame[x]) and axes.get_xscale() == "linear":
        axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 5, 10], integer=True))


def centres(frame: pd.DataFrame, *, x: str, y: str, scale: Scale) -> pd.Series:
    """A configuration's centre at each x: over a trial's sequences, then over its trials."""
    if "trial" in frame and frame.duplicated([x, "trial"]).any():
        frame = frame.groupby([x, "trial"])[y].apply(median).reset_index()
    return frame.groupby(x)[y].apply(lambda values: scale.centre(values.to_numpy()))


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
        zero: whether a dashed line marks 0.
    """
    times = moments(frame, tables)
    figure, axes = new_figure(1, len(times), height=height, sharex=True, sharey=True)
    bottom, top = span(frame[y])
    for ax, when in zip(axes[0], times, strict=True):
        lines(ax, frame[frame["when"] == when], tables, x=x, y=y, floor=bottom)
        if zero:
            ax.axhline(0, color=FAINT, linewidth=1, linestyle="--")
        ax.set(xlabel=xlabel, title=when, ylim=(bottom, top))
    axes[0, 0].set_ylabel(ylabel)
    legend(figure, tables, frame["configuration"])
    return figure
