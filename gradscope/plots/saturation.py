"""Saturated units and gates."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from gradscope.plots._axes import legend_below, plain
from gradscope.plots._plot import Plot, register
from gradscope.plots._rows import moments, present
from gradscope.plots._style import FAINT, INK, new_figure
from gradscope.results.tables import Tables
from gradscope.results.telling import MOST

LOW, HIGH = "#5b8db8", "#c8553d"
#: share of saturated units below which a bar cannot be seen
_UNSEEN = 0.005


@register("saturation")
class SaturationPlot(Plot):
    """The share of saturated units by gate, before training and at its end."""

    requires = ("saturation",)
    title = "Saturated units and gates"
    over = "low"
    order = 80

    def data(self, tables: Tables) -> pd.DataFrame:
        """Mean shares over seeds by configuration and gate, at the greatest length."""
        frame = tables.at_longest(tables.first_and_last("saturation"))
        by_gate = frame.groupby(["configuration", "gate", "when"], sort=False)
        return by_gate[["low", "high", "mean"]].mean().reset_index()

    def draw(self, tables: Tables) -> Figure:
        """Stacked bars, a row for each configuration and gate."""
        frame = self.shown(tables)
        rows = [
            (label, str(gate))
            for label in present(frame, tables, MOST)
            for gate in dict.fromkeys(frame.loc[frame["configuration"] == label, "gate"])
        ]
        times = moments(frame, tables)
        figure, axes = new_figure(1, len(times), height=0.9 + 0.27 * len(rows), sharey=True)
        for ax, when in zip(axes[0], times, strict=True):
            shares = frame[frame["when"] == when].set_index(["configuration", "gate"])
            _draw_shares(ax, shares, rows)
            ax.set_title(when)
        names = [f"{plain(label)}   {gate}" for label, gate in rows]
        axes[0, 0].set_yticks(range(len(rows)), names, fontsize="small")
        axes[0, 0].invert_yaxis()
        colours = {"saturated low (u ≤ 0)": LOW, "saturated high (u > 0)": HIGH}
        legend_below(figure, {name: Patch(color=colour) for name, colour in colours.items()})
        return figure

    def in_words(self, tables: Tables) -> str:
        """That no unit is saturated, where no bar would be seen."""
        shares = self.shown(tables)
        most = float((shares["low"] + shares["high"]).max())
        if not most < _UNSEEN:
            return ""
        return f"No gate is saturated: {_seldom(most)} where the activation is flat."

    def caption(self, tables: Tables) -> str:
        """When a unit is saturated, and what low and high are at a gate."""
        return (
            "Share of units, over all steps of the measured sequences, whose activation φ has "
            "flattened out: |φ′(u)| at most a tenth of its greatest slope, "
            f"{tables.words.mean}. Low at a forget gate f is shut (forgets), high is open "
            "(remembers); for ReLU low is a unit that lets nothing through at that step."
        )


def _seldom(share: float) -> str:
    return "no unit at any step is" if share == 0 else f"at most {share:.2g} of units and steps are"


def _draw_shares(ax: Axes, shares: pd.DataFrame, rows: list[tuple[str, str]]) -> None:
    """Bars of one moment, a line between configurations; words where no bar is to be seen."""
    low, high = (shares[side].reindex(rows).to_numpy(dtype=float) for side in ("low", "high"))
    ax.barh(range(len(rows)), low, color=LOW, height=0.7)
    ax.barh(range(len(rows)), high, left=low, color=HIGH, height=0.7)
    ax.set(xlim=(0, 1), xlabel="share of units and steps")
    most = float(np.nanmax(low + high, initial=0.0))
    if most < _UNSEEN:
        said = f"{_seldom(most)} saturated"
        box = {"facecolor": "white", "edgecolor": "none", "pad": 2}
        ax.text(0.5, 0.5, said, transform=ax.transAxes, ha="center", color=INK, bbox=box)
    for place in range(1, len(rows)):
        if rows[place][0] != rows[place - 1][0]:
            ax.axhline(place - 0.5, color=FAINT, linewidth=0.6)
