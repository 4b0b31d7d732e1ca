"""What truncation makes of the gradient."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd
from matplotlib.figure import Figure

from gradscope.plots._plot import FAINT, Plot, legend, lines, new_figure, register
from gradscope.results.tables import Tables


@register("truncation_bias")
class TruncationBiasPlot(Plot):
    """Norm ratio and cosine of the truncated and the full gradient against TBPTT length, at the end
    of training.
    """

    requires = ("truncation_bias",)
    title = "What truncation makes of the gradient"
    order: ClassVar[int] = 44

    def data(self, tables: Tables) -> pd.DataFrame:
        """By trial, kind and length, at the last measurement."""
        frame = tables.at_longest(tables.first_and_last("truncation_bias"))
        frame = (
            frame[frame["when"] == frame["when"].max()]
            if frame["when"].nunique() == 1
            else frame[frame["when"] == tables.moments[1]]
        )
        keys = ["trial", "configuration", "seed", "when", "train_step", "kind", "tbptt_length"]
        return frame[[*keys, "norm_ratio", "cosine", "sign_agreement"]]

    def draw(self, tables: Tables) -> Figure:
        """A row for each kind."""
        frame = self.data(tables)
        kinds = [kind for kind in ("sliding", "chunk") if (frame["kind"] == kind).any()]
        measures = (
            ("norm_ratio", "‖G$_K$‖ / ‖G‖"),
            ("cosine", "cosine of G$_K$ and G"),
            ("sign_agreement", "same sign (share)"),
        )
        figure, axes = new_figure(
            len(kinds), len(measures), height=2.8 * len(kinds) + 0.7, sharex=True
        )
        for row, kind in enumerate(kinds):
            for ax, (column, label) in zip(axes[row], measures, strict=True):
                lines(ax, frame[frame["kind"] == kind], tables, x="tbptt_length", y=column)
                ax.axhline(1, color=FAINT, linestyle="--", linewidth=1)
                ax.set(xscale="log", ylabel=label, title=kind)
        for ax in axes[-1]:
            ax.set_xlabel("TBPTT length K (steps)")
        legend(figure, tables, frame["configuration"])
        return figure

    def caption(self, tables: Tables) -> str:
        """In words."""
        return (
            "The gradient G_K of BPTT truncated after K steps against the full one, at the same"
            " weights, those at the end of training. Sliding: every loss reaches back exactly K"
            " steps; chunk: the state is cut off every K steps (a short last chunk reaches less"
            " far). 1 is the full gradient; a ratio far below 1 or a cosine far from 1 is what a"
            " training with that length would not see. Median over seeds, band from the least to"
            " the greatest."
        )
