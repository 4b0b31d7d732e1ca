"""The gradient by path through the state, and by gate."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pydantic import Field

from gradscope.plots._plot import Plot, finish, first_trials, new_figure, panels, register, wrapped
from gradscope.results.tables import Tables


@register("path_contributions")
class PathContributionsPlot(Plot):
    """ln ||G_lag|| by path through the state, and the gradient passed back by each gate, at the end
    of training.
    """

    most: int = Field(8, ge=1, description="configurations shown at most")
    requires = ("path_contributions",)
    title = "The gradient by path and by gate"
    order: ClassVar[int] = 46

    def data(self, tables: Tables) -> pd.DataFrame:
        """By path and lag, of each configuration's first trial at its end."""
        frame = tables.first_and_last("path_contributions")
        shown = dict(first_trials(tables, "path_contributions", self.most))
        frame = frame[frame["trial"].isin(shown.values())]
        frame = frame[frame["train_step"] == frame.groupby("trial")["train_step"].transform("max")]
        return frame[["configuration", "trial", "train_step", "kind", "path", "lag", "log_norm"]]

    def draw(self, tables: Tables) -> Figure:
        """Above by path, below by gate; a panel for each configuration."""
        frame = self.data(tables)
        shown = [
            label for label in tables.configurations if (frame["configuration"] == label).any()
        ]
        rows, columns = panels(len(shown))
        figure, axes = new_figure(2 * rows, columns, height=4.4 * rows + 0.9)
        for block, (kind, x) in enumerate((("state", "lag (steps)"), ("gate", "T − t (steps)"))):
            own_kind, part = frame[frame["kind"] == kind], axes[block * rows : (block + 1) * rows]
            paths = list(dict.fromkeys(own_kind["path"]))
            shades = dict(zip(paths, sns.color_palette("colorblind", len(paths)), strict=True))
            for ax, label in zip(part.flat, shown, strict=False):
                for path, own in own_kind[own_kind["configuration"] == label].groupby(
                    "path", sort=False
                ):
                    ax.plot(
                        own["lag"],
                        own["log_norm"].replace(-np.inf, np.nan),
                        color=shades[path],
                        linewidth=1.4,
                    )
                ax.set_title(f"{wrapped(label)}\nby {'path' if kind == 'state' else 'gate'}")
            finish(part, len(shown), x, "ln norm (nats)")
            handles = [Line2D([], [], color=shades[path]) for path in paths]
            part.flat[0].legend(handles, paths, fontsize=7, ncols=2, loc="best")
        return figure

    def caption(self, tables: Tables) -> str:
        """In words."""
        return (
            "Above: the weights' gradient split by lag and by the parts of the state in which a"
            " path begins and ends; a→b runs from part a of s_t, which the loss sees, to part b of"
            " s_k, which the weights made. Below: how the gradient passes a step, through the"
            " recurrent weights of each gate or directly from state to state (an LSTM's carousel, a"
            " GRU's update gate). Natural logarithms of norms over batch and units, first seed, end"
            " of training; paths that carry exactly nothing are left out."
        )
