"""Lyapunov spectra."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradscope.plots._axes import foot
from gradscope.plots._lines import lines, reference
from gradscope.plots._looks import Look, legend, looks
from gradscope.plots._plot import Plot, register
from gradscope.plots._rows import MEASURED, moments
from gradscope.plots._style import new_figure
from gradscope.results.scales import Scale
from gradscope.results.tables import Tables
from gradscope.results.words import sentence


@register("lyapunov")
class LyapunovPlot(Plot):
    """Finite-time Lyapunov exponents by index, before training and at its end."""

    requires = ("lyapunov",)
    title = "Lyapunov exponents"
    over = "index"
    order = 65

    def data(self, tables: Tables) -> pd.DataFrame:
        """Exponents by trial and index."""
        frame = tables.at_longest(tables.first_and_last("lyapunov"))
        exponents = ["exponent", "standard_error", "adjoint_exponent"]
        return frame[[*MEASURED, "index", *exponents, "kaplan_yorke", "entropy_rate"]]

    def draw(self, tables: Tables) -> Figure:
        """Two panels on one scale; bars at the largest exponent are its standard error."""
        frame, look = self.shown(tables), looks(tables)
        times = moments(frame, tables)
        figure, axes = new_figure(1, len(times), height=3.9, sharey=True)
        floor = foot(frame["exponent"])
        for ax, when in zip(axes[0], times, strict=True):
            part = frame[frame["when"] == when]
            part = part.assign(rank=part["index"] + 1)
            lines(ax, part, tables, x="rank", y="exponent", floor=floor)
            for label, largest in part[part["index"] == 0].groupby("configuration"):
                _draw_error(ax, largest, look[str(label)])
            reference(ax, y=0)
            ax.set(xlabel="index i", title=when, xscale="log")
        axes[0, 0].set_ylabel("exponent λ$_i$ (nats/step)")
        legend(figure, tables, frame["configuration"])
        return figure

    def caption(self, tables: Tables) -> str:
        """What exponents are, how far they can be trusted, and what a triangle is."""
        spread = sentence(f"{tables.words.spread}; a triangle at the foot is −∞")
        return (
            "Lyapunov exponents of the full state along the measured sequences, in descending "
            "order: the rates at which the directions of a perturbation, and so of a gradient, "
            "grow (above 0) or shrink. Finite-time estimates over one sequence; the bar at the "
            f"first is its standard error over stretches and sequences. {spread}"
        )


def _draw_error(ax: Axes, largest: pd.DataFrame, look: Look) -> None:
    """The standard error of the largest exponent, as a bar, where both are known."""
    value = Scale.MEAN.centre(largest["exponent"].to_numpy())
    error = Scale.MEAN.centre(largest["standard_error"].to_numpy())
    if np.isfinite(value) and np.isfinite(error):
        ax.errorbar([1], [value], yerr=[error], color=look.colour, capsize=2)
