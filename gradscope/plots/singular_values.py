"""Singular values of Jacobian products."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pydantic import Field

from gradscope.plots._axes import finish, legend_below, panel_grid, wrapped
from gradscope.plots._lines import reference
from gradscope.plots._looks import Colour
from gradscope.plots._plot import Plot, register
from gradscope.plots._rows import ends_of_first_trials, present
from gradscope.plots._style import FAINT, new_figure
from gradscope.results.tables import Tables


@register("singular_values")
class SingularValues(Plot):
    """ln of the singular values of J_{T:T-lag} by rank, for a few lags, at the end of training."""

    most: int = Field(
        12,
        ge=1,
        description=(
            "configurations drawn at most; of more, those spread evenly from best to worst"
        ),
    )
    requires = ()
    requires_any = ("singular_values", "spectra")
    title = "Singular values of Jacobian products"
    over = "index"
    order = 70

    def data(self, tables: Tables) -> pd.DataFrame:
        """Singular values of each configuration's first trial at its end.

        Without the graded values, those of products formed in floating point.
        """
        if "singular_values" in tables:
            frame = ends_of_first_trials(tables, "singular_values", self.most)
        else:
            frame = ends_of_first_trials(tables, "spectra", self.most)
            frame = frame[frame["kind"] == "product"]
            frame = frame.assign(lag=frame["t"] - frame["k"])
        return frame[["configuration", "trial", "train_step", "lag", "index", "log_value"]]

    def draw(self, tables: Tables) -> Figure:
        """A panel for each configuration, on one scale."""
        frame = self.shown(tables)
        labels = present(frame, tables)
        lags = sorted(int(lag) for lag in frame["lag"].unique())
        shades = dict(zip(lags, sns.color_palette("flare", len(lags)), strict=True))
        rows, columns, labels = panel_grid(tables, labels)
        figure, axes = new_figure(rows, columns, height=2.2 * rows + 0.8, sharey=True)
        for ax, label in zip(axes.flat, labels, strict=False):
            _draw_curves(ax, frame[frame["configuration"] == label], shades)
            ax.set_title(wrapped(label))
        finish(axes, len(labels), "rank of the singular value", "ln σ (nats)")
        samples = {f"lag {lag}": Line2D([], [], color=shades[lag], marker=".") for lag in lags}
        legend_below(figure, samples)
        return figure

    def caption(self, tables: Tables) -> str:
        """What the values are of, what a steep curve says, and what is left out."""
        words = tables.words
        return (
            "Natural logarithm of the singular values of ∂s_T/∂s_{T-lag} by rank"
            f"{words.shown_sequence}, {words.last}. A curve that drops steeply says that only a "
            "few directions of the state still carry a gradient. Exact zeros are left out, and "
            "without the probe singular_values those too small to be told from rounding in a "
            "product of this length."
        )


def _draw_curves(ax: Axes, values: pd.DataFrame, shades: dict[int, Colour]) -> None:
    """A curve for each lag; words where every value is zero."""
    for lag, shade in shades.items():
        curve = values[values["lag"] == lag]
        ax.plot(
            curve["index"] + 1,
            curve["log_value"],
            color=shade,
            marker=".",
            markersize=3,
            linewidth=1,
        )
    if not np.isfinite(values["log_value"]).any():
        centre = (0.5, 0.5)
        ax.annotate("all exactly zero", centre, xycoords="axes fraction", ha="center", color=FAINT)
        ax.set_xticks([])
    reference(ax, y=0)
