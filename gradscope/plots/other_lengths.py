"""What was trained at one length, tested at others."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd
from matplotlib.figure import Figure

from gradscope.plots._plot import FAINT, Plot, legend, lines, new_figure, register
from gradscope.results.tables import Tables


@register("other_lengths")
class OtherLengths(Plot):
    """Accuracy and loss on test sequences of other lengths than the one of training."""

    requires = ("lengths",)
    title = "Tested at other lengths"
    order: ClassVar[int] = 17

    def data(self, tables: Tables) -> pd.DataFrame:
        """Accuracy and loss over baseline by trial and tested length."""
        frame = tables["lengths"]
        found = frame[
            [
                "trial",
                "configuration",
                "length",
                "seed",
                "test_length",
                "loss",
                "baseline",
                "wrong_fraction",
            ]
        ]
        return found.assign(
            accuracy=1 - found["wrong_fraction"],
            loss_over_baseline=found["loss"] / found["baseline"],
        )

    def draw(self, tables: Tables) -> Figure:
        """Accuracy on the left, loss on the right."""
        frame = self.data(tables)
        figure, axes = new_figure(1, 2, height=3.7)
        for ax, column, label in (
            (axes[0, 0], "accuracy", "right answers (share)"),
            (axes[0, 1], "loss_over_baseline", "test loss / memoryless baseline"),
        ):
            lines(ax, frame, tables, x="test_length", y=column)
            for length in sorted(set(frame["length"])):
                if length > 0:
                    ax.axvline(length, color=FAINT, linestyle="--", linewidth=1)
            ticks = sorted(set(frame["test_length"]))
            ax.set(
                xlabel="length of the test sequences (dashed: of training)",
                ylabel=label,
                xscale="log",
            )
            ax.set_xticks(ticks, [str(tick) for tick in ticks])
            ax.minorticks_off()
        axes[0, 0].set_ylim(-0.03, 1.03)
        axes[0, 1].axhline(1, color=FAINT, linestyle="--", linewidth=1)
        legend(figure, tables, frame["configuration"])
        return figure

    def caption(self, tables: Tables) -> str:
        """In words."""
        return (
            "The trained network on fresh test sequences of other lengths: the share that it"
            " answers rightly, and its loss over that of the best answer without a memory (1 is"
            " chance). Median over seeds, band from the least to the greatest."
        )
