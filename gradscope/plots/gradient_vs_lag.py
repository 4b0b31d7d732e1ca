"""Gradient norm against lag: the picture of vanishing and exploding."""

from __future__ import annotations

from typing import Literal

import pandas as pd
from matplotlib.figure import Figure
from pydantic import Field

from gradscope.plots._lines import lines_by_moment
from gradscope.plots._plot import Plot, register
from gradscope.plots._rows import MEASURED
from gradscope.results.tables import Tables


@register("gradient_vs_lag")
class GradientVsLag(Plot):
    """ln ||ds_T/ds_{T-lag}|| (or of h) against lag, before training and at its end."""

    block: Literal["state", "hidden"] = Field(
        "state",
        description=(
            "which norms are drawn: state is ||ds_T/ds_k||, of all that the cell "
            "carries; hidden is ||dh_T/dh_k||, of its output part h"
        ),
    )
    requires = ("jacobian_norms",)
    title = "Gradient norm against lag"
    over = "lag"
    order = 20
    face = 5

    def data(self, tables: Tables) -> pd.DataFrame:
        """Log spectral norm from the last step back, by trial, sequence and lag."""
        frame = tables.at_longest(tables.first_and_last("jacobian_norms"))
        last = frame.groupby(["trial", "train_step"])["t"].transform("max")
        frame = frame[(frame["t"] == last) & (frame["block"] == self.block)]
        return frame[[*MEASURED, "sequence", "lag", "log_spectral_norm"]]

    def draw(self, tables: Tables) -> Figure:
        """A panel for the first and for the last measurement, on one scale."""
        letter = "s" if self.block == "state" else "h"
        return lines_by_moment(
            self.shown(tables),
            tables,
            x="lag",
            y="log_spectral_norm",
            xlabel="lag t − k (steps)",
            ylabel=f"ln ‖∂{letter}$_T$/∂{letter}$_{{T-lag}}$‖ (nats)",
            zero=True,
        )

    def caption(self, tables: Tables) -> str:
        """What the norm is of, and what a straight line, a line at 0 and a triangle say."""
        words, part = tables.words, "full" if self.block == "state" else "hidden"
        return (
            f"Natural logarithm of the spectral norm of the Jacobian of the last {part} state "
            f"with respect to the one lag steps earlier{tables.where}, "
            f"{words.spread_of_sequences}. A straight line down is exponential vanishing, its "
            "slope the rate in nats per step; a line at 0 keeps the gradient. A triangle at the "
            f"foot: {words.middle} is exactly zero from there on, as where the units of a ReLU "
            f"layer are dead.{words.ended_early}"
        )
