"""Fixed points and their stability."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradscope.plots._lines import reference
from gradscope.plots._looks import Look, legend, looks
from gradscope.plots._plot import Plot, register
from gradscope.plots._rows import MEASURED, moments
from gradscope.plots._style import FAINT, new_figure
from gradscope.results.tables import Tables


@register("fixed_points")
class FixedPointsPlot(Plot):
    """The spectral radius at each fixed point against how many starts end there."""

    requires = ("fixed_points",)
    title = "Fixed points"
    over = "visits"
    order = 85

    def data(self, tables: Tables) -> pd.DataFrame:
        """One row for each fixed point of each trial."""
        frame = tables.at_longest(tables.first_and_last("fixed_points"))
        columns = ["index", "visits", "residual", "spectral_radius", "time_constant", "stable"]
        return frame[[*MEASURED, *columns]]

    def draw(self, tables: Tables) -> Figure:
        """A panel for the first and for the last measurement, on one scale."""
        frame, look = self.shown(tables), looks(tables)
        times = moments(frame, tables)
        figure, axes = new_figure(1, len(times), height=3.6, sharey=True, sharex=True)
        for ax, when in zip(axes[0], times, strict=True):
            there = frame[frame["when"] == when].groupby("configuration")
            for label, points in sorted(there, key=lambda pair: look[str(pair[0])].named):
                _scatter(ax, points, look[str(label)])
            reference(ax, y=1)
            ax.set(xlabel="share of starts that end there", title=when, xlim=(-0.03, 1.03))
        axes[0, 0].set_ylabel("spectral radius of ∂s$_t$/∂s$_{t-1}$")
        legend(figure, tables, frame["configuration"])
        return figure

    def caption(self, tables: Tables) -> str:
        """What a point is, when it is filled, and what a memory needs."""
        words = tables.words
        return (
            "States that the cell maps onto themselves under its mean input, found from states "
            f"that it visits: every point is one fixed point of one {words.member}, filled where "
            "it is stable (all eigenvalues within the unit circle). A memory that lasts needs one "
            f"near 1. A {words.one} without points has no fixed point that was found."
        )


def _scatter(ax: Axes, points: pd.DataFrame, look: Look) -> None:
    """Fixed points, filled where they are stable; grey where the legend does not name them."""
    colour = look.colour if look.named else FAINT
    ax.scatter(
        points["visits"],
        points["spectral_radius"],
        s=28,
        c=[colour if stable else "white" for stable in points["stable"]],
        marker=look.marker or ".",
        edgecolors=[colour],
        linewidths=1.2,
    )
