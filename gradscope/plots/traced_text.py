"""A text under the gradient of one of its symbols."""

from __future__ import annotations

from typing import Literal, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from gradscope.plots._axes import plain
from gradscope.plots._plot import Plot, register
from gradscope.plots._rows import of_first_trials, present
from gradscope.plots._style import INK, new_figure
from gradscope.results.tables import Tables
from gradscope.results.words import sentence

#: signs in a line, lines of a text at most, and texts at most
_SIGNS, _LINES, _TEXTS = 96, 3, 12
#: nats over which the colours of a text run
_RANGE = 8.0
#: how whitespace is shown
_VISIBLE = {" ": "␣", "\n": "⏎", "\t": "⇥"}


class _Symbol(NamedTuple):
    """One symbol of a text.

    Attributes:
        word: what is printed.
        width: in signs, the gap to the next one included.
        share: of the colour scale, 0 to 1.
    """

    word: str
    width: int
    share: float


class _Text(NamedTuple):
    """Lines of symbols, and the one that was to be predicted."""

    lines: list[list[_Symbol]]
    answer: str


@register("traced_text")
class TracedTextPlot(Plot):
    """The end of a text, each symbol coloured by the gradient that the last answer sends to it."""

    requires = ("traced_back",)
    title = "The text that the answer feels"
    over = "t"
    order = 23
    face = 0

    @classmethod
    def missing(cls, tables: Tables) -> list[str]:
        """The table, or a text in it."""
        wanting = super().missing(tables)
        if wanting or bool((tables["traced_back"]["symbol"] != "").any()):
            return wanting
        return ["the table 'traced_back' of a text"]

    def data(self, tables: Tables) -> pd.DataFrame:
        """The first seed's first sequence of each configuration, at the end of training."""
        frame = tables.at_longest(tables.first_and_last("traced_back"))
        last = frame["when"] == tables.words.last
        frame = frame[last & (frame["sequence"] == 0) & (frame["symbol"] != "")]
        frame = of_first_trials(frame, tables)
        return frame[["configuration", "trial", "t", "lag", "symbol", "answer", "input"]]

    def draw(self, tables: Tables) -> Figure:
        """A few lines of text for each configuration."""
        frame = self.shown(tables)
        labels = present(frame, tables)[:_TEXTS]
        texts = [_laid_out(frame[frame["configuration"] == label]) for label in labels]
        height = sum(len(text.lines) + 0.8 for text in texts)
        figure, axes = new_figure(1, 1, height=1.1 + 0.3 * height)
        ax, y = axes[0, 0], 0.0
        scale = ScalarMappable(Normalize(-_RANGE, 0), mpl.colormaps["YlOrRd"])
        for label, text in zip(labels, texts, strict=True):
            ax.text(
                0, y + 0.15, plain(label), fontsize="small", ha="left", va="center", color="0.25"
            )
            y = _draw_text(ax, y, text, scale)
        ax.set(xlim=(0, _SIGNS + 12), ylim=(y, -0.4))
        ax.axis("off")
        bar = figure.colorbar(
            scale, ax=ax, orientation="horizontal", fraction=0.04, aspect=60, pad=0.02
        )
        bar.set_label("ln ‖∂l$_T$/∂x$_t$‖ relative to the text's largest (nats)")
        return figure

    def caption(self, tables: Tables) -> str:
        """What is printed, and what the colour of a symbol is."""
        shown = f"shown is {tables.words.shown_of_each}; ␣ is a space, ⏎ a line's end"
        return (
            "The last symbols of one sequence and, after the arrow, the one that was to be "
            f"predicted, {tables.words.at_last}. The colour of a symbol is how strongly the loss "
            f"of that one answer depends on it. {sentence(shown)}"
        )


def _laid_out(rows: pd.DataFrame) -> _Text:
    """The last lines of one text; words of several letters with gaps between them."""
    rows = rows.sort_values("t")
    words = [_visible(symbol) for symbol in rows["symbol"]]
    gap = 1 if max(map(len, words), default=1) > 1 else 0
    largest = rows.loc[np.isfinite(rows["input"]), "input"].max()
    shares = ((rows["input"] - largest) / _RANGE + 1).clip(0, 1).fillna(0)
    lines: list[list[_Symbol]] = [[]]
    for word, share in zip(words, shares, strict=True):
        width = len(word) + gap
        if sum(symbol.width for symbol in lines[-1]) + width > _SIGNS:
            lines.append([])
        lines[-1].append(_Symbol(word, width, float(share)))
    return _Text(lines[-_LINES:], _visible(rows["answer"].iloc[0]))


def _draw_text(ax: Axes, y: float, text: _Text, scale: ScalarMappable) -> float:
    """Lines of coloured symbols below ``y`` and the answer behind the last; where it ends."""
    end = 0
    for line in text.lines:
        y += 1.0
        end = _draw_line(ax, y, line, scale)
    _print(ax, end + 0.6, y, "→ " + text.answer, align="left", weight="bold")
    return y + 0.8


def _draw_line(ax: Axes, y: float, line: list[_Symbol], scale: ScalarMappable) -> int:
    """One line of coloured symbols, each sign in a place of its own; where it ends."""
    place = 0
    for word, width, share in line:
        colour = scale.cmap(share)
        ax.add_patch(Rectangle((place, y - 0.45), width, 0.9, color=colour, linewidth=0))
        for offset, sign in enumerate(word):
            x = place + offset + 0.5 + (width - len(word)) / 2
            _print(ax, x, y, sign, colour="white" if share > 0.7 else "black")
        place += width
    return place


def _print(
    ax: Axes,
    x: float,
    y: float,
    text: str,
    *,
    align: Literal["left", "center"] = "center",
    colour: str = INK,
    weight: Literal["normal", "bold"] = "normal",
) -> None:
    """A piece of the text, every sign as wide as any other."""
    ax.text(
        x,
        y,
        plain(text),
        family="monospace",
        fontsize="x-small",
        ha=align,
        va="center",
        color=colour,
        weight=weight,
    )


def _visible(symbol: str) -> str:
    return _VISIBLE.get(symbol, symbol)
