"""Gradient norm against lag: the picture of vanishing and exploding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pydantic import Field

from gradscope.plots._lines import circle, circles, lines_by_moment
from gradscope.plots._looks import REFERENCE, looks
from gradscope.plots._plot import Plot, register
from gradscope.plots._rows import MEASURED
from gradscope.plots._style import FAINT
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
        frame = tables.at_longest(tables.first_and_last("jacobian_norms", self.block))
        last = frame.groupby(["trial", "train_step"])["t"].transform("max")
        frame = frame[frame["t"] == last]
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
            theory=lambda ax, when: _draw_theory(ax, when, tables),
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
            f"layer are dead.{_theory_in_words(tables)}{words.ended_early}"
        )


#: the theory's name in the legend
_BOUND, _FIELD = "contraction bound", "mean field theory"
#: points of mean field theory on a line
_CIRCLES = 6


def _draw_theory(ax: Axes, when: str, tables: Tables) -> dict[str, Line2D]:
    """The lines that theory gives: no norm is above the bound, circles are a random direction."""
    drawn: dict[str, Line2D] = {}
    ends = [np.max(np.asarray(line.get_xdata(), dtype=float), initial=0.0) for line in ax.lines]
    lags = np.unique(np.linspace(0, max(ends, default=0.0), _CIRCLES).round())
    bounds, fields = _rates(tables, _bounds, when), _rates(tables, _fields, when)
    for label, look in looks(tables).items():
        if look.named and label in bounds:
            ax.plot(
                lags, bounds[label] * lags, color=look.colour, linestyle=REFERENCE, linewidth=1.2
            )
            drawn[_BOUND] = Line2D([], [], color=FAINT, linestyle=REFERENCE)
        if look.named and label in fields:
            circles(ax, lags, fields[label] * lags, look.colour)
            drawn[_FIELD] = circle(FAINT)
    return drawn


def _rates(
    tables: Tables, of: Callable[[Tables], pd.DataFrame | None], when: str
) -> dict[str, float]:
    """Configuration to nats per step, the mean over its trials; none that is not finite."""
    frame = tables.once(("theory", of.__name__), lambda: of(tables))
    if frame is None:
        return {}
    frame = frame[(frame["when"] == when) & np.isfinite(frame["rate"])]
    return {
        str(label): float(rate)
        for label, rate in frame.groupby("configuration")["rate"].mean().items()
    }


def _bounds(tables: Tables) -> pd.DataFrame | None:
    """ln(max |phi'| ||W||) of cells that have one."""
    if "spectra" not in tables:
        return None
    spectra = tables["spectra"]
    frame = tables.ends(spectra[spectra["kind"] == "contraction_bound"])
    return tables.at_longest(frame).rename(columns={"log_value": "rate"})


def _fields(tables: Tables) -> pd.DataFrame | None:
    """Half the logarithm of chi by mean field theory, of cells that it knows."""
    if "mean_field" not in tables:
        return None
    frame = tables.at_longest(tables.first_and_last("mean_field"))
    return frame.drop(columns="rate").rename(columns={"rate_predicted": "rate"})


def _theory_in_words(tables: Tables) -> str:
    """What dotted lines and circles are, where there are some."""
    said, moments = "", tables.words.moments
    if any(_rates(tables, _bounds, when) for when in moments):
        said += (
            " Dotted in a configuration's colour: the bound (max |φ′| ‖W‖)^{lag}, which the norm "
            "of a network h_t = φ(W h_{t-1} + …) cannot exceed."
        )
    if any(_rates(tables, _fields, when) for when in moments):
        said += " Circles: the norm of a random direction by mean field theory."
    return said
