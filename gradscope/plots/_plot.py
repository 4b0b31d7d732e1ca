"""Plot: DataFrames -> Figure; with what the figures share in looks."""

from __future__ import annotations

import textwrap
from abc import abstractmethod
from typing import ClassVar

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gradscope.registry import Component
from gradscope.tables import Tables

WIDTH = 9.0  # inches of a full figure
INK, FAINT = "#22272e", "#8a939e"

STYLE = {
    **sns.axes_style("ticks"),
    **sns.plotting_context("notebook", font_scale=0.85),
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": INK, "axes.labelcolor": INK,
    "axes.titlesize": 10, "axes.titlecolor": INK, "text.color": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.grid": True, "grid.color": "#e6e8eb", "grid.linewidth": 0.7, "axes.axisbelow": True,
    "legend.frameon": False, "figure.dpi": 100, "savefig.dpi": 150, "svg.hashsalt": "gradscope",
    "font.family": "DejaVu Sans",
}  # fmt: skip


class Plot(Component):
    """Base of all plots: one question, drawn from tables; tables come in and stay as they are."""

    #: tables without which there is nothing to draw
    requires: ClassVar[tuple[str, ...]]
    #: heading in the report
    title: ClassVar[str]
    #: place among the report's figures, ascending
    order: ClassVar[int]

    @abstractmethod
    def data(self, tables: Tables) -> pd.DataFrame:
        """What is drawn, tidy; empty if the run holds nothing of it. Saved as CSV beside the figure."""

    @abstractmethod
    def draw(self, tables: Tables) -> Figure:
        """The figure."""

    @abstractmethod
    def caption(self, tables: Tables) -> str:
        """What is measured, in what unit, and how lines and bands come from trials."""


def new_figure(rows: int, columns: int, *, width: float = WIDTH, height: float, **kwargs: bool | str) -> tuple[Figure, np.ndarray]:
    """A figure with a grid of axes, outside pyplot's global state; draw inside ``mpl.rc_context(STYLE)``."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, np.atleast_2d(figure.subplots(rows, columns, squeeze=False, **kwargs))  # type: ignore[arg-type]


def palette(tables: Tables) -> dict[str, tuple]:
    """A colour for each configuration, the same in every figure."""
    count = len(tables.configurations)
    colours = sns.color_palette("colorblind", count) if count <= 10 else sns.husl_palette(count, l=0.55)
    return dict(zip(tables.configurations, colours, strict=True))


def legend(figure: Figure, tables: Tables, present: pd.Series) -> None:
    """One legend of configurations under the whole figure."""
    colours, shown = palette(tables), set(present)
    labels = [label for label in tables.configurations if label in shown]
    handles = [Line2D([], [], color=colours[label], linewidth=2) for label in labels]
    longest = max(map(len, labels), default=1)
    figure.legend(handles, labels, loc="outside lower center", ncols=max(1, min(len(labels), 110 // (longest + 6))))


def lines(axes: Axes, frame: pd.DataFrame, tables: Tables, *, x: str, y: str) -> None:
    """Median over trials for each configuration, with the band from the least to the greatest."""
    colours = palette(tables)
    for label in tables.configurations:
        own = frame[frame["configuration"] == label]
        if own.empty:
            continue
        by_x = own.groupby(x)[y]
        middle, low, high = by_x.median(), by_x.min(), by_x.max()
        axes.plot(middle.index, middle, color=colours[label], linewidth=1.8)
        axes.fill_between(middle.index, low, high, color=colours[label], alpha=0.15, linewidth=0)


def panels(count: int, columns: int = 4) -> tuple[int, int]:
    """Rows and columns for so many small panels."""
    columns = min(count, columns)
    return -(-count // columns), columns


def wrapped(text: str, width: int = 26) -> str:
    """Broken into lines."""
    return "\n".join(textwrap.wrap(text, width)) or text


def first_trials(tables: Tables, name: str, limit: int) -> list[tuple[str, str]]:
    """(configuration, its first trial at the greatest length) for at most ``limit`` configurations."""
    frame = tables.at_longest(name)
    found = frame.sort_values("seed").groupby("configuration")["trial"].first()
    return [(label, found[label]) for label in tables.configurations if label in found.index][:limit]


def styled() -> mpl.rc_context:  # type: ignore[valid-type]
    """The context in which figures are made and saved."""
    return mpl.rc_context(STYLE)
