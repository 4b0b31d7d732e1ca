"""The gradient by lag."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd
from matplotlib.figure import Figure

from gradscope.plots._plot import FAINT, Plot, legend, limits, lines, new_figure, register
from gradscope.results.tables import Tables


@register("lag_contributions")
class LagContributionsPlot(Plot):
    """ln ||G_lag|| and the cumulative share of the gradient against lag, at the end of training."""

    requires = ("lag_contributions",)
    title = "The weights' gradient by lag"
    order: ClassVar[int] = 42

    def data(self, tables: Tables) -> pd.DataFrame:
        """By trial and lag, at the last measurement."""
        frame = tables.at_longest(tables.first_and_last("lag_contributions"))
        return frame[
            [
                "trial",
                "configuration",
                "seed",
                "when",
                "train_step",
                "lag",
                "log_norm",
                "cosine",
                "share",
            ]
        ]

    def draw(self, tables: Tables) -> Figure:
        """Above before training, below at its end; left the norm, right the share."""
        frame = self.data(tables)
        times = [when for when in tables.moments if (frame["when"] == when).any()]
        figure, axes = new_figure(len(times), 2, height=3.0 * len(times) + 0.6, sharex=True)
        low, high, margin = limits(frame["log_norm"])
        for row, when in enumerate(times):
            own = frame[frame["when"] == when]
            lines(axes[row, 0], own, tables, x="lag", y="log_norm", floor=low - 2 * margin)
            lines(axes[row, 1], own, tables, x="lag", y="share")
            axes[row, 0].set(
                ylabel="ln ‖G$_{lag}$‖ (nats)", title=when, ylim=(low - 2 * margin, high + margin)
            )
            axes[row, 1].set(ylabel="cumulative share", title=when)
            axes[row, 1].axhline(1, color=FAINT, linestyle="--", linewidth=1)
        for ax in axes[-1]:
            ax.set_xlabel("lag t − k (steps)")
        legend(figure, tables, frame["configuration"])
        return figure

    def caption(self, tables: Tables) -> str:
        """In words."""
        return (
            "The gradient of the loss with respect to the cell's weights, split exactly by how far"
            " back each term reaches, G = Σ G_l over lags l. Left: natural logarithm of the norm of"
            " each part. Right: how much of G the parts up to a lag make up, as their projection on"
            " G over its square; it may pass 1, where later parts point the other way. Median over"
            " seeds, band from the least to the greatest."
        )
