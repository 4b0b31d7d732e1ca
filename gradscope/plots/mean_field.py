"""Mean field theory against the network that is being trained."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gradscope.plots._plot import FAINT, Plot, legend, lines, looks, new_figure, register
from gradscope.results.tables import Tables, median


@register("mean_field")
class MeanFieldPlot(Plot):
    """ln(chi) / 2 over training, measured and by mean field theory of weights as large."""

    requires = ("mean_field",)
    title = "Mean field theory"
    order: ClassVar[int] = 90

    def data(self, tables: Tables) -> pd.DataFrame:
        """One row for each measurement of each trial."""
        frame = tables.at_longest("mean_field")
        columns = [
            "chi",
            "rate",
            "gain",
            "added_variance",
            "q",
            "q_predicted",
            "chi_predicted",
            "rate_predicted",
        ]
        return frame[["trial", "configuration", "seed", "train_step", *columns]]

    def draw(self, tables: Tables) -> Figure:
        """Measured as lines with a band, predicted as open circles."""
        frame = self.data(tables)
        figure, axes = new_figure(1, 1, height=3.6)
        ax = axes[0, 0]
        finite = frame.loc[np.isfinite(frame["rate"]), "rate"]
        floor = float(finite.min()) - 0.1 * float(np.ptp(finite) or 1.0) if len(finite) else -1.0
        lines(ax, frame, tables, x="train_step", y="rate", floor=floor)
        for label, look in looks(tables).items():
            own = frame[(frame["configuration"] == label) & np.isfinite(frame["rate_predicted"])]
            middle = own.groupby("train_step")["rate_predicted"].apply(median)
            ax.plot(
                middle.index,
                middle,
                color=look.colour,
                linestyle="",
                marker="o",
                markerfacecolor="white",
                markersize=6,
            )
        ax.axhline(0, color=FAINT, linestyle="--", linewidth=1)
        ax.set(xlabel="optimiser step", ylabel="½ ln χ (nats/step)")
        circle = Line2D(
            [], [], color="black", linestyle="", marker="o", markerfacecolor="white", markersize=6
        )
        others = (
            {"by mean field theory": circle} if np.isfinite(frame["rate_predicted"]).any() else {}
        )
        legend(figure, tables, frame["configuration"], **others)
        return figure

    def caption(self, tables: Tables) -> str:
        """In words."""
        return (
            "Lines: half the logarithm of χ, the mean squared singular value of the step Jacobian:"
            " the rate at which a gradient in a random direction grows (above 0) or shrinks in one"
            " step. Circles: what mean field theory says of independent Gaussian weights as large"
            " as these, for the cells that it knows; where a line leaves its circles, training has"
            " given the weights a structure. Median over seeds, band from the least to the"
            " greatest."
        )
