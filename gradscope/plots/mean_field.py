"""Mean field theory against the network that is being trained."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradscope.plots._axes import foot
from gradscope.plots._lines import centres, circle, circles, lines, reference
from gradscope.plots._looks import legend, looks
from gradscope.plots._plot import Plot, register
from gradscope.plots._style import new_figure
from gradscope.results.scales import Scale
from gradscope.results.tables import Tables
from gradscope.results.words import sentence


@register("mean_field")
class MeanFieldPlot(Plot):
    """ln(chi) / 2 over training, measured and by mean field theory of weights as large."""

    requires = ("mean_field",)
    title = "Mean field theory"
    over = "train_step"
    order = 90

    def data(self, tables: Tables) -> pd.DataFrame:
        """One row for each measurement of each trial."""
        measured = ["chi", "rate", "gain", "added_variance", "q"]
        predicted = ["q_predicted", "chi_predicted", "rate_predicted"]
        about = ["trial", "configuration", "seed", "train_step"]
        return tables.at_longest("mean_field")[[*about, *measured, *predicted]]

    def draw(self, tables: Tables) -> Figure:
        """Measured as lines with a band, predicted as open circles."""
        frame = self.shown(tables)
        figure, axes = new_figure(1, 1, height=3.6)
        ax = axes[0, 0]
        lines(ax, frame, tables, x="train_step", y="rate", floor=foot(frame["rate"]))
        predicted = frame[np.isfinite(frame["rate_predicted"])]
        _draw_predictions(ax, predicted, tables)
        reference(ax, y=0)
        ax.set(xlabel="optimiser step", ylabel="½ ln χ (nats/step)")
        predictions = {"by mean field theory": circle("black")}
        legend(figure, tables, frame["configuration"], **(predictions if len(predicted) else {}))
        return figure

    def caption(self, tables: Tables) -> str:
        """What lines and circles are, and what it says where they part."""
        return (
            "Lines: half the logarithm of χ, the mean squared singular value of the step Jacobian: "
            "the rate at which a gradient in a random direction grows (above 0) or shrinks in one "
            "step. Circles: what mean field theory says of independent Gaussian weights as large "
            "as these, for the cells that it knows; where a line leaves its circles, training has "
            f"given the weights a structure. {sentence(tables.words.spread)}"
        )


def _draw_predictions(ax: Axes, predicted: pd.DataFrame, tables: Tables) -> None:
    """The mean over trials at each step, as open circles."""
    for label, look in looks(tables).items():
        if not look.named:
            continue
        rows = predicted[predicted["configuration"] == label]
        middle = centres(rows, x="train_step", y="rate_predicted", scale=Scale.MEAN)
        circles(ax, middle.index, middle, look.colour)
