"""What truncation makes of the gradient."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from gradscope.plots._lines import lines, reference
from gradscope.plots._looks import legend
from gradscope.plots._plot import Plot, register
from gradscope.plots._rows import MEASURED, late
from gradscope.plots._style import new_figure
from gradscope.results.tables import Tables
from gradscope.results.words import sentence

#: column to its label
_MEASURES = {
    "norm_ratio": "‖G$_K$‖ / ‖G‖",
    "cosine": "cosine of G$_K$ and G",
    "sign_agreement": "same sign (share)",
}


@register("truncation_bias")
class TruncationBiasPlot(Plot):
    """Norm ratio and cosine of the truncated and the full gradient against TBPTT length."""

    requires = ("truncation_bias",)
    title = "What truncation makes of the gradient"
    over = "tbptt_length"
    order = 44

    def data(self, tables: Tables) -> pd.DataFrame:
        """By trial, kind and length, at the last measurement."""
        frame = late(tables, "truncation_bias")
        return frame[[*MEASURED, "kind", "tbptt_length", *_MEASURES]]

    def draw(self, tables: Tables) -> Figure:
        """A row for each kind of truncation, a column for each measure."""
        frame = self.shown(tables)
        kinds = [kind for kind in ("sliding", "chunk") if (frame["kind"] == kind).any()]
        height = 2.8 * len(kinds) + 0.7
        figure, axes = new_figure(len(kinds), len(_MEASURES), height=height, sharex=True)
        used = frame[frame["kind"] == "trained"]
        for row, kind in zip(axes, kinds, strict=True):
            part = frame[frame["kind"] == kind]
            for ax, (column, label) in zip(row, _MEASURES.items(), strict=True):
                lines(ax, part, tables, x="tbptt_length", y=column)
                if kind == "sliding":
                    ax.plot(used["tbptt_length"], used[column], "k*", markersize=9, zorder=5)
                reference(ax, y=1)
                ax.set(xscale="log", ylabel=label, title=kind)
        for ax in axes[-1]:
            ax.set_xlabel("TBPTT length K (steps)")
        legend(figure, tables, frame["configuration"])
        return figure

    def caption(self, tables: Tables) -> str:
        """What is compared, what the two kinds are, and which values are far from the full one."""
        words = tables.words
        star = (
            "A star is the gradient that the training used, which its own detach or no_grad cuts "
            "off, at the steps that it reaches. "
        )
        star = star if (self.data(tables)["kind"] == "trained").any() else ""
        return (
            "The gradient G_K of BPTT truncated after K steps against the full one, at the same "
            f"weights, those {words.at_last}. Sliding: every loss reaches back exactly K steps; "
            "chunk: the state is cut off every K steps (a short last chunk reaches less far). 1 is "
            "the full gradient; a ratio far below 1 or a cosine far from 1 is what a training with "
            f"that length would not see. {star}{sentence(words.spread)}"
        )
