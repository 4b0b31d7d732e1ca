"""The gradient by lag."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from gradscope.plots._axes import span
from gradscope.plots._lines import lines, reference
from gradscope.plots._looks import legend
from gradscope.plots._plot import Plot, register
from gradscope.plots._rows import MEASURED, moments
from gradscope.plots._style import new_figure
from gradscope.results.tables import Tables
from gradscope.results.words import sentence


@register("lag_contributions")
class LagContributionsPlot(Plot):
    """ln ||G_lag|| and the cumulative share of the gradient against lag."""

    requires = ("lag_contributions",)
    title = "The weights' gradient by lag"
    over = "lag"
    order = 42

    def data(self, tables: Tables) -> pd.DataFrame:
        """By trial and lag, at the first and the last measurement."""
        frame = tables.at_longest(tables.first_and_last("lag_contributions"))
        return frame[[*MEASURED, "lag", "log_norm", "cosine", "share"]]

    def draw(self, tables: Tables) -> Figure:
        """Above before training, below at its end; left the norm, right the share."""
        frame = self.shown(tables)
        times = moments(frame, tables)
        figure, axes = new_figure(len(times), 2, height=3.0 * len(times) + 0.6, sharex=True)
        bottom, top = span(frame["log_norm"])
        for (left, right), when in zip(axes, times, strict=True):
            part = frame[frame["when"] == when]
            lines(left, part, tables, x="lag", y="log_norm", floor=bottom)
            lines(right, part, tables, x="lag", y="share")
            left.set(ylabel="ln ‖G$_{lag}$‖ (nats)", title=when, ylim=(bottom, top))
            right.set(ylabel="cumulative share", title=when)
            reference(right, y=1)
        for ax in axes[-1]:
            ax.set_xlabel("lag t − k (steps)")
        legend(figure, tables, frame["configuration"])
        return figure

    def caption(self, tables: Tables) -> str:
        """How the gradient is split, and what is on the left and on the right."""
        return (
            "The gradient of the loss with respect to the cell's weights, split exactly by how far "
            "back each term reaches, G = Σ G_l over lags l. Left: natural logarithm of the norm of "
            "each part. Right: how much of G the parts up to a lag make up, as their projection on "
            "G over its square; it may pass 1, where later parts point the other way. "
            f"{sentence(tables.words.spread)}"
        )
