"""Saturated units and gates."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from gradscope.plots._plot import FAINT, Plot, new_figure, plain, register
from gradscope.results.tables import Tables

LOW, HIGH = "#5b8db8", "#c8553d"


@register("saturation")
class SaturationPlot(Plot):
    """The share of saturated units by gate, before training and at its end."""

    requires = ("saturation",)
    title = "Saturated units and gates"
    order: ClassVar[int] = 80

    def data(self, tables: Tables) -> pd.DataFrame:
        """Mean shares over seeds by configuration and gate, at the greatest length."""
        frame = tables.at_longest(tables.first_and_last("saturation"))
        return (
            frame.groupby(["configuration", "gate", "when"], sort=False)[["low", "high", "mean"]]
            .mean()
            .reset_index()
        )

    def draw(self, tables: Tables) -> Figure:
        """Stacked bars, a row for each configuration and gate."""
        frame = self.data(tables)
        rows = [
            (label, gate)
            for label in tables.configurations
            for gate in dict.fromkeys(frame.loc[frame["configuration"] == label, "gate"])
        ]
        times = [when for when in tables.moments if (frame["when"] == when).any()]
        figure, axes = new_figure(1, len(times), height=0.9 + 0.27 * len(rows), sharey=True)
        for ax, when in zip(axes[0], times, strict=True):
            own = frame[frame["when"] == when].set_index(["configuration", "gate"])
            low = np.array([own["low"].get(row, np.nan) for row in rows])
            high = np.array([own["high"].get(row, np.nan) for row in rows])
            ax.barh(range(len(rows)), low, color=LOW, height=0.7)
            ax.barh(range(len(rows)), high, left=low, color=HIGH, height=0.7)
            ax.set(xlim=(0, 1), xlabel="share of units and steps", title=when)
            most = float(np.nanmax(low + high, initial=0.0))
            if most < 0.005:  # a bar that nobody sees
                said = "no unit is saturated" if most == 0 else f"at most {most:.2g} is saturated"
                ax.text(0.5, 0.5, said, transform=ax.transAxes, ha="center", color=FAINT)
            for place in range(1, len(rows)):
                if rows[place][0] != rows[place - 1][0]:
                    ax.axhline(place - 0.5, color=FAINT, linewidth=0.6)
        axes[0, 0].set_yticks(
            range(len(rows)), [f"{plain(label)}   {gate}" for label, gate in rows], fontsize=8
        )
        axes[0, 0].invert_yaxis()
        figure.legend(
            [Patch(color=LOW), Patch(color=HIGH)],
            ["saturated low (u ≤ 0)", "saturated high (u > 0)"],
            loc="outside lower center",
            ncols=2,
        )
        return figure

    def caption(self, tables: Tables) -> str:
        """In words."""
        return (
            "Share of units, over all steps of the measured sequences, whose activation φ has"
            " flattened out: |φ′(u)| at most a tenth of its greatest slope, mean over seeds. Low at"
            " a forget gate f is shut (forgets), high is open (remembers); for ReLU low is a unit"
            " that lets nothing through at that step."
        )
