"""Lyapunov spectra."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gradscope.plots._plot import FAINT, Plot, legend, lines, looks, new_figure, register
from gradscope.results.tables import Tables


@register("lyapunov")
class LyapunovPlot(Plot):
    """Finite-time Lyapunov exponents by index, before training and at its end."""

    requires = ("lyapunov",)
    title = "Lyapunov exponents"
    order: ClassVar[int] = 65

    def data(self, tables: Tables) -> pd.DataFrame:
        """Exponents by trial and index."""
        frame = tables.at_longest(tables.first_and_last("lyapunov"))
        keys = ["trial", "configuration", "seed", "when", "train_step", "index"]
        return frame[
            [
                *keys,
                "exponent",
                "standard_error",
                "adjoint_exponent",
                "kaplan_yorke",
                "entropy_rate",
            ]
        ]

    def draw(self, tables: Tables) -> Figure:
        """Two panels on one scale; bars at the largest exponent are its standard error."""
        frame, look = self.data(tables), looks(tables)
        times = [when for when in tables.moments if (frame["when"] == when).any()]
        figure, axes = new_figure(1, len(times), height=3.9, sharey=True)
        finite = frame.loc[np.isfinite(frame["exponent"]), "exponent"]
        floor = float(finite.min()) - 0.1 * float(np.ptp(finite) or 1.0) if len(finite) else -1.0
        for ax, when in zip(axes[0], times, strict=True):
            own = frame[frame["when"] == when].assign(rank=lambda f: f["index"] + 1)
            lines(ax, own, tables, x="rank", y="exponent", floor=floor)
            for label, first in own[own["index"] == 0].groupby("configuration"):
                value, error = first["exponent"].median(), first["standard_error"].median()
                if np.isfinite(value) and np.isfinite(error):
                    ax.errorbar(
                        [1], [value], yerr=[error], color=look[str(label)].colour, capsize=2
                    )
            ax.axhline(0, color=FAINT, linestyle="--", linewidth=1)
            ax.set(xlabel="index i", title=when, xscale="log")
        axes[0, 0].set_ylabel("exponent λ$_i$ (nats/step)")
        legend(figure, tables, frame["configuration"])
        return figure

    def caption(self, tables: Tables) -> str:
        """In words."""
        return (
            "Lyapunov exponents of the full state along the measured sequences, in descending"
            " order: the rates at which the directions of a perturbation, and so of a gradient,"
            " grow (above 0) or shrink. Finite-time estimates over one sequence; the bar at the"
            " first is its standard error over stretches and sequences. Median over seeds, band"
            " from the least to the greatest; a triangle at the foot is −∞."
        )
