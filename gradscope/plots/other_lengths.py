"""What was trained at one length, tested at others."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradscope.plots._lines import lines, reference
from gradscope.plots._looks import legend
from gradscope.plots._plot import Plot, register
from gradscope.plots._style import new_figure
from gradscope.results.scales import Scale
from gradscope.results.tables import Tables
from gradscope.results.words import SPREAD_OF_LOSSES, sentence


@register("other_lengths")
class OtherLengths(Plot):
    """Accuracy and loss on test sequences of other lengths than the one of training."""

    requires = ("lengths",)
    title = "Tested at other lengths"
    over = "test_length"
    order = 17
    of_recordings = False
    face = 4

    def data(self, tables: Tables) -> pd.DataFrame:
        """Accuracy and loss over baseline by trial and tested length."""
        about = ["trial", "configuration", "length", "seed"]
        frame = tables["lengths"][[*about, "test_length", "loss", "baseline", "wrong_fraction"]]
        return frame.assign(
            accuracy=1 - frame["wrong_fraction"],
            loss_over_baseline=frame["loss"] / frame["baseline"],
        )

    def draw(self, tables: Tables) -> Figure:
        """Accuracy on the left, loss on the right."""
        frame = self.shown(tables)
        figure, axes = new_figure(1, 2, height=3.7)
        left, right = axes[0]
        for ax, column, scale in (
            (left, "accuracy", Scale.MEAN),
            (right, "loss_over_baseline", Scale.GEOMETRIC),
        ):
            lines(ax, frame, tables, x="test_length", y=column, scale=scale)
            _mark_lengths(ax, frame)
        left.set(ylabel="right answers (share)", ylim=(-0.03, 1.03))
        right.set(ylabel="test loss / memoryless baseline")
        reference(right, y=1)
        legend(figure, tables, frame["configuration"])
        return figure

    def caption(self, tables: Tables) -> str:
        """What is tested, and what is on the left and on the right."""
        return (
            "The trained network on fresh test sequences of other lengths: the share that it "
            "answers rightly, and its loss over that of the best answer without a memory (1 is "
            f"chance). {sentence(tables.words.spread)} Losses: {SPREAD_OF_LOSSES}."
        )


def _mark_lengths(ax: Axes, frame: pd.DataFrame) -> None:
    """The lengths of training as dotted lines, those of the test as ticks."""
    for length in sorted(set(frame["length"])):
        if length > 0:
            reference(ax, x=length)
    ax.set(xlabel="length of the test sequences (dotted: of training)", xscale="log")
    ticks = sorted(set(frame["test_length"]))
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()
