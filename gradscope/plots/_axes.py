"""Axes, panels and words on figures."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.ticker import (
    AutoLocator,
    FormatStrFormatter,
    LogLocator,
    MaxNLocator,
    NullLocator,
)

from gradscope.plots._style import characters, side_by_side
from gradscope.results.tables import Tables

#: intervals between the ticks of a small panel at most
_TICKS = 4


def limits(values: pd.Series) -> tuple[float, float, float]:
    """(least, greatest, margin) of the finite values, for an axis that shows them.

    -1 and 1 where there are none.
    """
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (-1.0, 1.0)
    return low, high, 0.05 * max(high - low, 1.0)


def span(values: pd.Series) -> tuple[float, float]:
    """(foot, top) of an axis that shows the finite values.

    The foot leaves room below them, where lines end that fall to minus infinity.
    """
    low, high, margin = limits(values)
    return low - 2 * margin, high + margin


def foot(values: pd.Series) -> float:
    """Where lines that fall to minus infinity end on an axis that scales itself."""
    finite = values[np.isfinite(values)].to_numpy(dtype=float)
    if not len(finite):
        return -1.0
    return float(finite.min()) - 0.1 * float(np.ptp(finite) or 1.0)


def time_axis(frame: pd.DataFrame, tables: Tables) -> tuple[str, str]:
    """(column, label): t, or t - T where sequences of several lengths have their ends in common."""
    if tables.same_time(frame):
        return "t", "t (steps)"
    return "to_end", "t − T (steps before the end)"


def panels(count: int, columns: int = 4) -> tuple[int, int]:
    """Rows and columns for so many small panels."""
    columns = min(count, side_by_side(columns))
    return -(-count // columns), columns


def panel_grid(
    tables: Tables, labels: Sequence[str], columns: int = 4
) -> tuple[int, int, list[str]]:
    """Rows, columns and order of a panel for each configuration.

    Of a sweep of two axes one is down and the other across, where all of its settings have room.
    """
    rows, across = panels(len(labels), columns)
    pairs = [tables.axes[label] for label in labels]
    if any(len(pair) != 2 for pair in pairs):
        return rows, across, list(labels)
    first, second = (list(dict.fromkeys(pair[axis] for pair in pairs)) for axis in (0, 1))
    if min(len(first), len(second)) < 2 or len(first) * len(second) != len(labels):
        return rows, across, list(labels)
    room = [side for side in (first, second) if len(side) <= side_by_side(columns)]
    if not room:
        return rows, across, list(labels)
    if max(room, key=len) is second:
        return len(first), len(second), list(labels)
    place = {
        label: (second.index(pair[1]), first.index(pair[0]))
        for label, pair in zip(labels, pairs, strict=True)
    }
    return len(second), len(first), sorted(labels, key=lambda label: place[label])


def finish(axes: np.ndarray, shown: int, x: str, y: str) -> None:
    """Label the outer panels of a grid and hide those without a configuration.

    Small panels have few ticks: they are no easier to read by more, and most of what drawing costs.
    """
    columns = axes.shape[1]
    for index, ax in enumerate(axes.flat):
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_minor_locator(NullLocator())
            if isinstance(axis.get_major_locator(), AutoLocator):
                axis.set_major_locator(MaxNLocator(_TICKS, steps=[1, 2, 5, 10]))
        ax.set_visible(index < shown)
        if index + columns >= shown:  # nothing below
            ax.set_xlabel(x)
            ax.tick_params(labelbottom=True)
        if index % columns == 0:
            ax.set_ylabel(y)


def plain_ticks(figure: Figure) -> None:
    """Round numbers in the place of powers of ten on logarithmic axes of less than a decade."""
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            if isinstance(axis.get_major_locator(), LogLocator) and low > 0 and high < 10 * low:
                axis.set_minor_locator(NullLocator())
                axis.set_major_locator(MaxNLocator(_TICKS, steps=[1, 2, 5, 10]))
                axis.set_major_formatter(FormatStrFormatter("%g"))


def edges(points: np.ndarray) -> np.ndarray:
    """Borders of the cells of a mesh around ascending points.

    Halfway between neighbours, and as far beyond the ends.
    """
    if len(points) == 1:
        return np.array([points[0] - 0.5, points[0] + 0.5])
    middle = (points[1:] + points[:-1]) / 2
    return np.concatenate(([2 * points[0] - middle[0]], middle, [2 * points[-1] - middle[-1]]))


def legend_below(
    figure: Figure, handles: Mapping[str, Artist], *, handlelength: float | None = None
) -> None:
    """One legend under the whole figure, in as many columns as there is room for.

    Args:
        figure: grows by what a legend of more than four rows needs.
        handles: label, which may have formulas, to a sample of what it names.
        handlelength: of a sample, in the size of the font; None is matplotlib's.
    """
    longest = max(map(len, handles), default=1)
    columns = max(1, min(len(handles), characters() // (longest + 8)))
    rows = -(-len(handles) // columns)
    if rows > 4:  # room for a long legend is not taken from the axes
        figure.set_figheight(figure.get_figheight() + 0.21 * (rows - 4))
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside lower center",
        handlelength=handlelength,
        ncols=columns,
    )


def plain(text: str) -> str:
    """A user's words, which are not mathematics between dollar signs."""
    return text.replace("$", r"\$")


def wrapped(text: str, width: int = 26) -> str:
    """A user's words broken into lines."""
    return plain("\n".join(textwrap.wrap(text, width)) or text)
