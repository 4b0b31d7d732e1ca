"""The (t, k) map of Jacobian norms."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.cm import ScalarMappable
from matplotlib.colors import CenteredNorm
from matplotlib.figure import Figure
from pydantic import Field

from gradscope.plots._plot import (
    Plot,
    edges,
    finish,
    first_trials,
    new_figure,
    panels,
    register,
    wrapped,
)
from gradscope.results.tables import Tables


@register("jacobian_heatmap")
class JacobianHeatmap(Plot):
    """ln ||dh_t/dh_k|| (or of s) over the grid of (t, k) at the end of training, a panel for each
    configuration.
    """

    block: Literal["state", "hidden"] = Field(
        "hidden", description="of the output part h of the state, or of all of it"
    )
    most: int = Field(12, ge=1, description="configurations shown at most")
    requires = ("jacobian_norms",)
    title = "Jacobian norms over (t, k)"
    order: ClassVar[int] = 30

    def data(self, tables: Tables) -> pd.DataFrame:
        """Median over sequences of the log norm at the evenly spread grid points of each
        configuration's first trial.
        """
        frame = tables.first_and_last("jacobian_norms")
        shown = dict(first_trials(tables, "jacobian_norms", self.most))
        frame = frame[frame["trial"].isin(shown.values()) & (frame["block"] == self.block)]
        ends = frame.groupby("trial")["train_step"].transform("max")
        frame = frame[frame["train_step"] == ends]
        points = frame.groupby("trial")["t"].unique().to_dict()
        frame = frame[
            [
                k == 0 or k in points[trial]
                for trial, k in zip(frame["trial"], frame["k"], strict=True)
            ]
        ]
        keys = ["configuration", "trial", "train_step", "t", "k"]
        return frame.groupby(keys, sort=False)["log_spectral_norm"].median().reset_index()

    def draw(self, tables: Tables) -> Figure:
        """Panels with one colour scale, centred on 0."""
        frame = self.data(tables)
        shown = [
            label for label in tables.configurations if (frame["configuration"] == label).any()
        ]
        rows, columns = panels(len(shown))
        figure, axes = new_figure(rows, columns, height=2.35 * rows + 0.4, sharex=True, sharey=True)
        finite = frame.loc[np.isfinite(frame["log_spectral_norm"]), "log_spectral_norm"]
        norm = CenteredNorm(0, max(1.0, float(finite.abs().max()) if len(finite) else 1.0))
        colours = sns.color_palette("vlag_r", as_cmap=True)
        for index, label in enumerate(shown):
            ax = axes.flat[index]
            own = frame[frame["configuration"] == label].pivot(
                index="t", columns="k", values="log_spectral_norm"
            )
            ax.set_facecolor("#d9dce0")
            ax.pcolormesh(
                edges(own.columns.to_numpy(dtype=float)),
                edges(own.index.to_numpy(dtype=float)),
                np.ma.masked_invalid(own.to_numpy(dtype=float)),
                norm=norm,
                cmap=colours,
                rasterized=True,
            )
            ax.set_title(wrapped(label))
            ax.grid(False)
            ax.set_aspect("equal")
        letter = "h" if self.block == "hidden" else "s"
        finish(axes, len(shown), "k, earlier step", "t, later step")
        figure.colorbar(
            ScalarMappable(norm, colours),
            ax=axes,
            label=f"ln ‖∂{letter}$_t$/∂{letter}$_k$‖ (nats)",
            shrink=0.9,
        )
        return figure

    def caption(self, tables: Tables) -> str:
        """In words."""
        return (
            "Natural logarithm of the spectral norm of"
            f" ∂{'h' if self.block == 'hidden' else 's'}_t/∂{'h' if self.block == 'hidden' else 's'}_k"
            " at the end of training, first seed, median over measured sequences; t ≥ k, so the"
            " diagonal is lag 0. White is 1 (the gradient is kept), red less, blue more; grey is"
            " not defined (k > t) or exactly zero."
        )
