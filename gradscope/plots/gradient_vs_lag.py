"""Gradient norm against lag: the picture of vanishing and exploding."""

from __future__ import annotations

from typing import ClassVar, Literal

import pandas as pd
from matplotlib.figure import Figure
from pydantic import Field

from gradscope.plots._plot import FAINT, Plot, legend, limits, lines, new_figure, register
from gradscope.results.tables import Tables


@register("gradient_vs_lag")
class GradientVsLag(Plot):
    """ln ||ds_T/ds_{T-lag}|| (or of h) against lag, before training and at its end."""

    block: Literal["state", "hidden"] = Field(
        "state", description="of the full state s, or of its output part h"
    )
    requires = ("jacobian_norms",)
    title = "Gradient norm against lag"
    order: ClassVar[int] = 20

    def data(self, tables: Tables) -> pd.DataFrame:
        """Log spectral norm from the last step back, by trial, sequence and lag, at the greatest
        length.
        """
        frame = tables.at_longest(tables.first_and_last("jacobian_norms"))
        last = frame.groupby(["trial", "train_step"])["t"].transform("max")
        frame = frame[(frame["t"] == last) & (frame["block"] == self.block)]
        return frame[
            [
                "trial",
                "configuration",
                "seed",
                "sequence",
                "when",
                "train_step",
                "lag",
                "log_spectral_norm",
            ]
        ]

    def draw(self, tables: Tables) -> Figure:
        """Two panels on one scale."""
        frame = self.data(tables)
        times = [when for when in tables.moments if (frame["when"] == when).any()]
        figure, axes = new_figure(1, len(times), height=3.9, sharey=True)
        low, high, margin = limits(frame["log_spectral_norm"])
        for ax, when in zip(axes[0], times, strict=True):
            own = frame[frame["when"] == when]
            lines(ax, own, tables, x="lag", y="log_spectral_norm", floor=low - 2 * margin)
            ax.axhline(0, color=FAINT, linewidth=1, linestyle="--")
            ax.set(xlabel="lag t − k (steps)", title=when, ylim=(low - 2 * margin, high + margin))
        letter = "s" if self.block == "state" else "h"
        axes[0, 0].set_ylabel(f"ln ‖∂{letter}$_T$/∂{letter}$_{{T-lag}}$‖ (nats)")
        legend(figure, tables, frame["configuration"])
        return figure

    def caption(self, tables: Tables) -> str:
        """In words."""
        part = "full state" if self.block == "state" else "hidden state"
        return (
            f"Natural logarithm of the spectral norm of the Jacobian of the last {part} with"
            f" respect to the one lag steps earlier{tables.where}, median over seeds and measured"
            " sequences, band from the least to the greatest. A straight line down is exponential"
            " vanishing, its slope the rate in nats per step; a line at 0 keeps the gradient. A"
            " triangle at the foot: the median is exactly zero from there on, as where the units"
            " of a ReLU layer are dead. A trial that diverged is shown at its last measurement."
        )
