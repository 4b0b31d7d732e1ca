"""Language models against n-grams."""

from __future__ import annotations

import math
from typing import ClassVar

import pandas as pd
from matplotlib.figure import Figure

from gradscope.plots._plot import FAINT, Plot, legend, lines, new_figure, register
from gradscope.results.tables import Tables


@register("language")
class LanguagePlot(Plot):
    """Bits per symbol of held-out text against optimiser steps, with what smoothed n-grams reach."""

    requires = ("references", "evaluation")
    title = "Bits per symbol, against n-grams"
    order: ClassVar[int] = 12

    def data(self, tables: Tables) -> pd.DataFrame:
        """Held-out loss by trial and optimiser step."""
        frame = tables["evaluation"]
        own = frame[frame["trial"].isin(tables["references"]["trial"])]
        return own[["trial", "configuration", "seed", "train_step", "loss"]].assign(
            bits=own["loss"] / math.log(2)
        )

    def draw(self, tables: Tables) -> Figure:
        """One panel."""
        frame, references = self.data(tables), tables["references"]
        figure, axes = new_figure(1, 1, height=3.8)
        ax = axes[0, 0]
        lines(ax, frame, tables, x="train_step", y="bits")
        for name, loss in references.groupby("reference")["loss"].median().items():
            ax.axhline(loss / math.log(2), color=FAINT, linestyle="--", linewidth=1)
            at = (1.01, loss / math.log(2))
            ax.annotate(
                str(name),
                at,
                xycoords=("axes fraction", "data"),
                fontsize=8,
                color="0.35",
                ha="left",
                va="center",
            )
        token = "character" if "bits_per_character" in tables["trials"] else "word"
        ax.set(xlabel="optimiser step", ylabel=f"bits per {token}, held-out text")
        legend(figure, tables, frame["configuration"])
        return figure

    def caption(self, tables: Tables) -> str:
        """In words."""
        return (
            "Cross-entropy on held-out text in bits, median over seeds, band from the least to the"
            " greatest. Dashed: interpolated Witten-Bell n-gram models fitted on the same training"
            " text, which see so many symbols less one; a network below the line uses more than"
            " that, or uses it better."
        )
