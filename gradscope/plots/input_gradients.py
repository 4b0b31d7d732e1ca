"""What the loss still feels of every input."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd
from matplotlib.figure import Figure

from gradscope.plots._plot import Plot, legend, limits, lines, new_figure, register, time_axis
from gradscope.results.tables import Tables


@register("input_gradients")
class InputGradientsPlot(Plot):
    """ln ||dL/dx_t|| over t, at the first and the last measurement."""

    requires = ("input_gradients",)
    title = "What the loss feels of every input"
    order: ClassVar[int] = 43

    def data(self, tables: Tables) -> pd.DataFrame:
        """Log norm of the gradient of each input by trial and t, at the greatest length."""
        frame = tables.at_longest(tables.first_and_last("input_gradients"))
        frame = frame.assign(to_end=frame["t"] - frame["time"])
        return frame[
            ["trial", "configuration", "seed", "when", "train_step", "t", "to_end", "log_norm"]
        ]

    def draw(self, tables: Tables) -> Figure:
        """A column for each moment."""
        frame = self.data(tables)
        times = [when for when in tables.moments if (frame["when"] == when).any()]
        low, high, margin = limits(frame["log_norm"])
        x, name = time_axis(frame, tables)
        figure, axes = new_figure(1, len(times), height=3.8, sharey=True, sharex=True)
        for column, when in enumerate(times):
            ax = axes[0, column]
            lines(
                ax, frame[frame["when"] == when], tables, x=x, y="log_norm", floor=low - 2 * margin
            )
            ax.set(ylim=(low - 2 * margin, high + margin), title=when, xlabel=name)
        axes[0, 0].set_ylabel("ln ‖dL/dx$_t$‖ (nats)")
        legend(figure, tables, frame["configuration"])
        return figure

    def caption(self, tables: Tables) -> str:
        """In words."""
        return (
            "Natural logarithm of the 2-norm, over channels and batch together, of the gradient of"
            " the loss with respect to the input at step t: median over seeds, band from the least"
            " to the greatest. An input whose gradient is a thousandth (7 nats) of the others' has"
            " no say in what is learned."
        )
