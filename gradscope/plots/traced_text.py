"""A text under the gradient of one of its symbols."""

from __future__ import annotations

from typing import ClassVar

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from gradscope.plots._plot import Plot, new_figure, plain
from gradscope.registry import register
from gradscope.tables import Tables

#: signs, at most, of the text that is shown, and nats over which its colours run
_SIGNS, _RANGE = 88, 8.0


@register("plot", "traced_text")
class TracedTextPlot(Plot):
    """The end of one sequence of text, each symbol coloured by the gradient that the last answer's loss sends to it."""

    requires = ("traced_back",)
    title = "The text that the answer feels"
    order: ClassVar[int] = 23

    @classmethod
    def missing(cls, tables: Tables) -> list[str]:
        """The table, or a text in it."""
        wanting = super().missing(tables)
        return wanting or ([] if (tables["traced_back"]["symbol"] != "").any() else ["traced_back of a text"])

    def data(self, tables: Tables) -> pd.DataFrame:
        """The first seed's first sequence of each configuration, at the end of training."""
        frame = tables.at_longest(tables.first_and_last("traced_back"))
        frame = frame[(frame["when"] == "end of training") & (frame["sequence"] == 0) & (frame["symbol"] != "")]
        chosen = frame.sort_values("seed", kind="stable").groupby("configuration", sort=False)["trial"].first()
        frame = frame[frame["trial"].isin(chosen)]
        return frame[["configuration", "trial", "t", "lag", "symbol", "answer", "input"]]

    def draw(self, tables: Tables) -> Figure:
        """A line of text for each configuration."""
        frame = self.data(tables)
        labels = [label for label in tables.configurations if (frame["configuration"] == label).any()][:12]
        figure, axes = new_figure(1, 1, height=1.3 + 0.55 * len(labels))
        ax, colours = axes[0, 0], mpl.colormaps["YlOrRd"]
        widest = 0
        for row, label in enumerate(labels):
            own = frame[frame["configuration"] == label].sort_values("t")
            top = own.loc[np.isfinite(own["input"]), "input"].max()
            shares = ((own["input"] - top) / _RANGE + 1).clip(0, 1).fillna(0).to_numpy()
            width = self._line(ax, row, [_visible(s) for s in own["symbol"]], _visible(own["answer"].iloc[0]), shares, colours)
            widest = max(widest, width)
            ax.text(0, row - 0.33, plain(label), fontsize=8, ha="left", va="bottom", color="0.25")
        ax.set(xlim=(0, widest + 10), ylim=(len(labels) - 0.4, -0.75))
        ax.axis("off")
        scale = ScalarMappable(Normalize(-_RANGE, 0), colours)
        figure.colorbar(scale, ax=ax, orientation="horizontal", fraction=0.04, aspect=60, pad=0.02).set_label(
            "ln ‖∂l$_T$/∂x$_t$‖ relative to the line's largest (nats)"
        )
        return figure

    @staticmethod
    def _line(ax: Axes, row: int, words: list[str], answer: str, shares: np.ndarray, colours: Colormap) -> int:
        gap = 1 if max(map(len, words), default=1) > 1 else 0
        first = len(words)
        used = 0
        while first > 0 and used + len(words[first - 1]) + gap <= _SIGNS:
            first -= 1
            used += len(words[first]) + gap
        place = 0
        for word, share in zip(words[first:], shares[first:], strict=True):
            width = len(word) + gap
            ax.add_patch(Rectangle((place, row - 0.3), width, 0.6, color=colours(share), linewidth=0))
            dark = share > 0.7
            style = {
                "family": "monospace",
                "fontsize": 7,
                "ha": "center",
                "va": "center",
                "color": "white" if dark else "black",
            }
            for offset, sign in enumerate(word):
                ax.text(place + offset + 0.5 + gap / 2, row, plain(sign), **style)
            place += width
        ax.text(place + 0.6, row, "→ " + plain(answer), family="monospace", fontsize=7, ha="left", va="center", weight="bold")
        return place

    def caption(self, tables: Tables) -> str:
        """In words."""
        return (
            "The last symbols of one sequence and, after the arrow, the one that was to be predicted, at the end of training. "
            "The colour of a symbol is how strongly the loss of that one answer depends on it. First seed of each "
            "configuration; ␣ is a space, ⏎ a line's end."
        )


def _visible(symbol: str) -> str:
    return {" ": "␣", "\n": "⏎", "\t": "⇥"}.get(symbol, symbol)
