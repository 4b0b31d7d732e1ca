"""The gradient by path through the state, and by gate."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pydantic import Field

from gradscope.plots._axes import finish, panel_grid, wrapped
from gradscope.plots._plot import Plot, register
from gradscope.plots._rows import ends_of_first_trials, present
from gradscope.plots._style import new_figure
from gradscope.results.tables import Tables

#: kind of contribution to what it is split by, and to the horizontal axis
_KINDS = {"state": ("path", "lag (steps)"), "gate": ("gate", "T − t (steps)")}


@register("path_contributions")
class PathContributionsPlot(Plot):
    """ln ||G_lag|| by path through the state, and the gradient passed back by each gate."""

    most: int = Field(
        8,
        ge=1,
        description=(
            "configurations drawn at most; of more, those spread evenly from best to worst"
        ),
    )
    requires = ("path_contributions",)
    title = "The gradient by path and by gate"
    over = "lag"
    order = 46

    def data(self, tables: Tables) -> pd.DataFrame:
        """By path and lag, of each configuration's first trial at its end."""
        frame = ends_of_first_trials(tables, "path_contributions", self.most)
        return frame[["configuration", "trial", "train_step", "kind", "path", "lag", "log_norm"]]

    def draw(self, tables: Tables) -> Figure:
        """Above by path, below by gate; a panel for each configuration."""
        frame = self.shown(tables)
        labels = present(frame, tables)
        rows, columns, labels = panel_grid(tables, labels)
        figure, axes = new_figure(2 * rows, columns, height=4.4 * rows + 0.9)
        for block, kind in enumerate(_KINDS):
            grid = axes[block * rows : (block + 1) * rows]
            _draw_kind(grid, frame[frame["kind"] == kind], labels, kind)
        return figure

    def caption(self, tables: Tables) -> str:
        """What is above and below, and what is left out."""
        words = tables.words
        return (
            "Above: the weights' gradient split by lag and by the parts of the state in which a "
            "path begins and ends; a→b runs from part a of s_t, which the loss sees, to part b of "
            "s_k, which the weights made. Below: how the gradient passes a step, through the "
            "recurrent weights of each gate or directly from state to state (an LSTM's carousel, a "
            f"GRU's update gate). Natural logarithms of norms over batch and units{words.shown}, "
            f"{words.last}; paths that carry exactly nothing are left out."
        )


def _draw_kind(grid: np.ndarray, norms: pd.DataFrame, labels: list[str], kind: str) -> None:
    """A panel for each configuration, a line for each path; one legend, in the first."""
    split, xlabel = _KINDS[kind]
    paths = list(dict.fromkeys(norms["path"]))
    shades = dict(zip(paths, sns.color_palette("colorblind", len(paths)), strict=True))
    for ax, label in zip(grid.flat, labels, strict=False):
        by_path = norms[norms["configuration"] == label].groupby("path", sort=False)
        for path, line in by_path:
            logs = line["log_norm"].replace(-np.inf, np.nan)
            ax.plot(line["lag"], logs, color=shades[path], linewidth=1.4)
        ax.set_title(f"{wrapped(label)}\nby {split}")
    finish(grid, len(labels), xlabel, "ln norm (nats)")
    handles = [Line2D([], [], color=shades[path]) for path in paths]
    grid.flat[0].legend(handles, paths, fontsize="x-small", ncols=2, loc="best")
