"""Fixed points and their stability."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd
from matplotlib.figure import Figure

from gradscope.plots._plot import FAINT, Plot, legend, looks, new_figure, register
from gradscope.results.tables import Tables


@register("fixed_points")
class FixedPointsPlot(Plot):
    """The spectral radius at each fixed point against how many starts end there, before training
    and at its end.
    """

    requires = ("fixed_points",)
    title = "Fixed points"
    order: ClassVar[int] = 85

    def data(self, tables: Tables) -> pd.DataFrame:
        """One row for each fixed point of each trial."""
        frame = tables.at_longest(tables.first_and_last("fixed_points"))
        keys = ["trial", "configuration", "seed", "when", "train_step", "index"]
        return frame[[*keys, "visits", "residual", "spectral_radius", "time_constant", "stable"]]

    def draw(self, tables: Tables) -> Figure:
        """Two panels on one scale."""
        frame, look = self.data(tables), looks(tables)
        times = [when for when in tables.moments if (frame["when"] == when).any()]
        figure, axes = new_figure(1, len(times), height=3.6, sharey=True, sharex=True)
        for ax, when in zip(axes[0], times, strict=True):
            for label, own in frame[frame["when"] == when].groupby("configuration"):
                face = [look[str(label)].colour if stable else "white" for stable in own["stable"]]
                ax.scatter(
                    own["visits"],
                    own["spectral_radius"],
                    s=28,
                    c=face,
                    edgecolors=[look[str(label)].colour],
                    linewidths=1.2,
                )
            ax.axhline(1, color=FAINT, linestyle="--", linewidth=1)
            ax.set(xlabel="share of starts that end there", title=when, xlim=(-0.03, 1.03))
        axes[0, 0].set_ylabel("spectral radius of ∂s$_t$/∂s$_{t-1}$")
        legend(figure, tables, frame["configuration"])
        return figure

    def caption(self, tables: Tables) -> str:
        """In words."""
        return (
            "States that the cell maps onto themselves under its mean input, found from states that"
            " it visits: every point is one fixed point of one trial, filled where it is stable"
            " (all eigenvalues within the unit circle). A memory that lasts needs one near 1. A"
            " configuration without points has no fixed point that was found."
        )
