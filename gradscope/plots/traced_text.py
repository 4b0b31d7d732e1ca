"""A text under the gradient of one of its symbols."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from gradscope.plots._plot import Plot, new_figure, plain, register
from gradscope.results.tables import Tables

#: signs in a line, lines of a text at most, and nats over which its colours run
_SIGNS, _LINES, _RANGE = 96, 3, 8.0


_SIGN = {"family": "monospace", "fontsize": 7, "va": "center"}


class _Text(NamedTuple):
    """Lines of (word, width, share of the colour scale), and the answer."""

    lines: list[list[tuple[str, int, float]]]
    answer: str


@register("traced_text")
class TracedTextPlot(Plot):
    """The end of one sequence of text, each symbol coloured by the gradient that the last answer's
    loss sends to it.
    """

    requires = ("traced_back",)
    title = "The text that the answer feels"
    order: ClassVar[int] = 23

    @classmethod
    def missing(cls, tables: Tables) -> list[str]:
        """The table, or a text in it."""
        wanting = super().missing(tables)
        return wanting or (
            [] if (tables["traced_back"]["symbol"] != "").any() else ["traced_back of a text"]
        )

    def data(self, tables: Tables) -> pd.DataFrame:
        """The first seed's first sequence of each configuration, at the end of training."""
        frame = tables.at_longest(tables.first_and_last("traced_back"))
        frame = frame[
            (frame["when"] == tables.moments[1])
            & (frame["sequence"] == 0)
            & (frame["symbol"] != "")
        ]
        chosen = (
            frame.sort_values("seed", kind="stable")
            .groupby("configuration", sort=False)["trial"]
            .first()
        )
        frame = frame[frame["trial"].isin(chosen)]
        return frame[["configuration", "trial", "t", "lag", "symbol", "answer", "input"]]

    def draw(self, tables: Tables) -> Figure:
        """A line of text for each configuration."""
        frame = self.data(tables)
        labels = [
            label for label in tables.configurations if (frame["configuration"] == label).any()
        ][:12]
        texts = [
            self._text(frame[frame["configuration"] == label].sort_values("t")) for label in labels
        ]
        height = sum(len(text.lines) + 0.8 for text in texts)
        figure, axes = new_figure(1, 1, height=1.1 + 0.3 * height)
        ax, colours, y = axes[0, 0], mpl.colormaps["YlOrRd"], 0.0
        for label, text in zip(labels, texts, strict=True):
            ax.text(0, y + 0.15, plain(label), fontsize=8, ha="left", va="center", color="0.25")
            for line in text.lines:
                y += 1.0
                end = _draw_line(ax, y, line, colours)
            ax.text(end + 0.6, y, "→ " + plain(text.answer), **_SIGN, ha="left", weight="bold")  # type: ignore[arg-type]
            y += 0.8
        ax.set(xlim=(0, _SIGNS + 12), ylim=(y, -0.4))
        ax.axis("off")
        scale = ScalarMappable(Normalize(-_RANGE, 0), colours)
        figure.colorbar(
            scale, ax=ax, orientation="horizontal", fraction=0.04, aspect=60, pad=0.02
        ).set_label("ln ‖∂l$_T$/∂x$_t$‖ relative to the text's largest (nats)")
        return figure

    @staticmethod
    def _text(own: pd.DataFrame) -> _Text:
        words = [_visible(symbol) for symbol in own["symbol"]]
        gap = 1 if max(map(len, words), default=1) > 1 else 0
        top = own.loc[np.isfinite(own["input"]), "input"].max()
        shares = ((own["input"] - top) / _RANGE + 1).clip(0, 1).fillna(0)
        lines: list[list[tuple[str, int, float]]] = [[]]
        for word, share in zip(words, shares, strict=True):
            if sum(width for _, width, _ in lines[-1]) + len(word) + gap > _SIGNS:
                lines.append([])
            lines[-1].append((word, len(word) + gap, float(share)))
        return _Text(lines[-_LINES:], _visible(own["answer"].iloc[0]))

    def caption(self, tables: Tables) -> str:
        """In words."""
        return (
            "The last symbols of one sequence and, after the arrow, the one that was to be"
            " predicted, at the end of training. The colour of a symbol is how strongly the loss of"
            " that one answer depends on it. First seed of each configuration; ␣ is a space, ⏎ a"
            " line's end."
        )


def _draw_line(ax: Axes, y: float, line: list[tuple[str, int, float]], colours: Colormap) -> int:
    """One line of coloured words, each sign in a place of its own; where it ends."""
    place = 0
    for word, width, share in line:
        ax.add_patch(Rectangle((place, y - 0.45), width, 0.9, color=colours(share), linewidth=0))
        for offset, sign in enumerate(word):
            x = place + offset + 0.5 + (width - len(word)) / 2
            ax.text(
                x, y, plain(sign), **_SIGN, ha="center", color="white" if share > 0.7 else "black"
            )  # type: ignore[arg-type]
        place += width
    return place


def _visible(symbol: str) -> str:
    return {" ": "␣", "\n": "⏎", "\t": "⇥"}.get(symbol, symbol)
