"""Language models against n-grams."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradscope.plots._lines import lines, reference
from gradscope.plots._looks import legend
from gradscope.plots._plot import Plot, register
from gradscope.plots._style import new_figure
from gradscope.results.scales import Scale
from gradscope.results.tables import Tables
from gradscope.results.words import SPREAD_OF_LOSSES


@register("language")
class LanguagePlot(Plot):
    """Bits per symbol of held-out text against optimiser steps, beside those of n-gram models."""

    requires = ("references", "evaluation")
    title = "Bits per symbol, against n-grams"
    over = "train_step"
    order = 12
    of_recordings = False
    face = 1

    def data(self, tables: Tables) -> pd.DataFrame:
        """Held-out loss by trial and optimiser step."""
        frame = tables["evaluation"]
        frame = frame[frame["trial"].isin(tables["references"]["trial"])]
        columns = ["trial", "configuration", "seed", "train_step", "loss"]
        return frame[columns].assign(bits=frame["loss"] / math.log(2))

    def draw(self, tables: Tables) -> Figure:
        """One panel."""
        frame = self.shown(tables)
        figure, axes = new_figure(1, 1, height=3.8)
        ax = axes[0, 0]
        lines(ax, frame, tables, x="train_step", y="bits", scale=Scale.GEOMETRIC)
        for name, loss in tables["references"].groupby("reference")["loss"].median().items():
            _draw_reference(ax, str(name), loss / math.log(2))
        token = "character" if "bits_per_character" in tables["trials"] else "word"
        ax.set(xlabel="optimiser step", ylabel=f"bits per {token}, held-out text")
        legend(figure, tables, frame["configuration"])
        return figure

    def caption(self, tables: Tables) -> str:
        """What is measured, and what the dotted n-gram models see."""
        return (
            f"Cross-entropy on held-out text in bits, {SPREAD_OF_LOSSES}. Dotted: interpolated "
            "Witten-Bell n-gram models fitted on the same training text, which see so many symbols "
            "less one; a network below the line uses more than that, or uses it better."
        )


def _draw_reference(ax: Axes, name: str, bits: float) -> None:
    """A dotted line across the panel, its name at the right."""
    reference(ax, y=bits)
    ax.annotate(
        name,
        (1.01, bits),
        xycoords=("axes fraction", "data"),
        fontsize="small",
        color="0.35",
        ha="left",
        va="center",
    )
