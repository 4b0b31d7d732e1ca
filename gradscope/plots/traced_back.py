"""One loss traced back through the sequence."""

from __future__ import annotations

from typing import ClassVar, Literal

import pandas as pd
from matplotlib.figure import Figure
from pydantic import Field

from gradscope.plots._plot import FAINT, Plot, legend, limits, lines, new_figure, register
from gradscope.results.tables import Tables


@register("traced_back")
class TracedBackPlot(Plot):
    """ln ||dl_T/dx_t|| (or of s_t) of the last loss alone against lag, before training and at its
    end.
    """

    of: Literal["input", "state"] = Field(
        "input", description="of the inputs x_t, or of the states s_t"
    )
    requires = ("traced_back",)
    title = "One loss traced back"
    order: ClassVar[int] = 22

    def data(self, tables: Tables) -> pd.DataFrame:
        """Log norms by trial, sequence and lag, at the greatest length."""
        frame = tables.at_longest(tables.first_and_last("traced_back"))
        return frame[
            [
                "trial",
                "configuration",
                "seed",
                "when",
                "train_step",
                "sequence",
                "lag",
                "symbol",
                "state",
                "input",
            ]
        ]

    def draw(self, tables: Tables) -> Figure:
        """Two panels on one scale."""
        frame = self.data(tables)
        times = [when for when in tables.moments if (frame["when"] == when).any()]
        figure, axes = new_figure(1, len(times), height=3.9, sharey=True)
        low, high, margin = limits(frame[self.of])
        for ax, when in zip(axes[0], times, strict=True):
            lines(
                ax, frame[frame["when"] == when], tables, x="lag", y=self.of, floor=low - 2 * margin
            )
            ax.axhline(0, color=FAINT, linewidth=1, linestyle="--")
            ax.set(
                xlabel="lag (steps back from the answer)",
                title=when,
                ylim=(low - 2 * margin, high + margin),
            )
        letter = "x" if self.of == "input" else "s"
        axes[0, 0].set_ylabel(f"ln ‖∂l$_T$/∂{letter}$_{{T-lag}}$‖ (nats)")
        legend(figure, tables, frame["configuration"])
        return figure

    def caption(self, tables: Tables) -> str:
        """In words."""
        part = "input" if self.of == "input" else "state"
        return (
            f"How strongly the loss of the last answer alone depends on the {part} so many steps"
            " before it, as the natural logarithm of the gradient's norm: median over seeds and"
            " measured sequences, band from the least to the greatest. Where it has fallen by some"
            " ten nats, no update will teach the network to look."
        )
