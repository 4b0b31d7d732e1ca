"""Singular values of Jacobian products."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pydantic import Field

from gradscope.plots._plot import (
    FAINT,
    Plot,
    finish,
    first_trials,
    new_figure,
    panels,
    register,
    wrapped,
)
from gradscope.results.tables import Tables


@register("singular_values")
class SingularValues(Plot):
    """ln of the singular values of J_{T:T-lag} by rank, for a few lags, at the end of training."""

    most: int = Field(12, ge=1, description="configurations shown at most")
    requires = ()
    requires_any = ("singular_values", "spectra")
    title = "Singular values of Jacobian products"
    order: ClassVar[int] = 70

    def data(self, tables: Tables) -> pd.DataFrame:
        """Singular values of each configuration's first trial at its end."""
        name = "singular_values" if "singular_values" in tables else "spectra"
        frame = tables.first_and_last(name)
        if (
            name == "spectra"
        ):  # without the graded values, those of products formed in floating point
            frame = frame[frame["kind"] == "product"].assign(lag=lambda f: f["t"] - f["k"])
        frame = frame[frame["trial"].isin(dict(first_trials(tables, name, self.most)).values())]
        frame = frame[frame["train_step"] == frame.groupby("trial")["train_step"].transform("max")]
        return frame[["configuration", "trial", "train_step", "lag", "index", "log_value"]]

    def draw(self, tables: Tables) -> Figure:
        """A panel for each configuration, on one scale."""
        frame = self.data(tables)
        shown = [
            label for label in tables.configurations if (frame["configuration"] == label).any()
        ]
        lags = sorted(frame["lag"].unique())
        shades = dict(zip(lags, sns.color_palette("flare", len(lags)), strict=True))
        rows, columns = panels(len(shown))
        figure, axes = new_figure(rows, columns, height=2.2 * rows + 0.8, sharey=True)
        for ax, label in zip(axes.flat, shown, strict=False):
            for lag, own in frame[frame["configuration"] == label].groupby("lag"):
                ax.plot(
                    own["index"] + 1,
                    own["log_value"],
                    color=shades[lag],
                    marker=".",
                    markersize=3,
                    linewidth=1,
                )
            if not np.isfinite(frame.loc[frame["configuration"] == label, "log_value"]).any():
                ax.annotate(
                    "all exactly zero",
                    (0.5, 0.5),
                    xycoords="axes fraction",
                    ha="center",
                    color=FAINT,
                )
                ax.set_xticks([])
            ax.axhline(0, color=FAINT, linestyle="--", linewidth=1)
            ax.set_title(wrapped(label))
        finish(axes, len(shown), "rank of the singular value", "ln σ (nats)")
        figure.legend(
            [Line2D([], [], color=shades[lag], marker=".") for lag in lags],
            [f"lag {lag}" for lag in lags],
            loc="outside lower center",
            ncols=len(lags) or 1,
        )
        return figure

    def caption(self, tables: Tables) -> str:
        """In words."""
        return (
            "Natural logarithm of the singular values of ∂s_T/∂s_{T-lag} by rank, first seed and"
            " sequence, end of training. A curve that drops steeply says that only a few directions"
            " of the state still carry a gradient. Exact zeros are left out, and without the probe"
            " singular_values those too small to be told from rounding in a product of this length."
        )
