"""What the loss still feels of every input."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from gradscope.plots._axes import time_axis
from gradscope.plots._lines import lines_by_moment
from gradscope.plots._plot import Plot, register
from gradscope.plots._rows import MEASURED
from gradscope.results.tables import Tables


@register("input_gradients")
class InputGradientsPlot(Plot):
    """ln ||dL/dx_t|| over t, at the first and the last measurement."""

    requires = ("input_gradients",)
    title = "What the loss feels of every input"
    over = "t"
    order = 43

    def data(self, tables: Tables) -> pd.DataFrame:
        """Log norm of the gradient of each input by trial and t, at the greatest length."""
        frame = tables.at_longest(tables.first_and_last("input_gradients"))
        frame = frame.assign(to_end=frame["t"] - frame["time"])
        return frame[[*MEASURED, "t", "to_end", "log_norm"]]

    def draw(self, tables: Tables) -> Figure:
        """A panel for the first and for the last measurement, on one scale."""
        frame = self.shown(tables)
        x, xlabel = time_axis(frame, tables)
        return lines_by_moment(
            frame,
            tables,
            x=x,
            y="log_norm",
            xlabel=xlabel,
            ylabel="ln ‖dL/dx$_t$‖ (nats)",
            height=3.8,
        )

    def caption(self, tables: Tables) -> str:
        """What the norm is of, and from where on an input has no say."""
        return (
            "Natural logarithm of the 2-norm, over channels and batch together, of the gradient of "
            f"the loss with respect to the input at step t: {tables.words.spread}. An input whose "
            "gradient is a thousandth (7 nats) of the others' has no say in what is learned."
        )
