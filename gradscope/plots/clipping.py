"""What the clip does."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pydantic import Field

from gradscope.plots._plot import (
    FAINT,
    Plot,
    finish,
    first_trials,
    looks,
    new_figure,
    panels,
    register,
    wrapped,
)
from gradscope.results.tables import Tables


@register("clipping")
class Clipping(Plot):
    """The gradient's norm before and after the clip over training, and the fraction of clipped
    updates.
    """

    bins: int = Field(60, ge=5, description="stretches of training, each drawn as its median")
    most: int = Field(12, ge=1, description="configurations shown at most")
    requires = ("training",)
    title = "Gradient norm before and after the clip"
    order: ClassVar[int] = 50

    def data(self, tables: Tables) -> pd.DataFrame:
        """Median and greatest norm in stretches of the first trial of each configuration."""
        chosen = dict(first_trials(tables, "training", self.most))
        frame = tables["training"][tables["training"]["trial"].isin(chosen.values())]
        width = max(1, int(np.ceil((frame["train_step"].max() + 1) / self.bins)))
        frame = frame.assign(
            train_step=frame["train_step"] // width * width, clipped=frame["clip_coefficient"] < 1
        )
        return (
            frame.groupby(["configuration", "trial", "train_step"], sort=False)
            .agg(
                grad_norm_preclip=("grad_norm_preclip", "median"),
                greatest_preclip=("grad_norm_preclip", "max"),
                grad_norm_postclip=("grad_norm_postclip", "median"),
                clipped_fraction=("clipped", "mean"),
            )
            .reset_index()
        )

    def draw(self, tables: Tables) -> Figure:
        """A panel for each configuration, on one scale."""
        frame, look = self.data(tables), looks(tables)
        shown = [
            label for label in tables.configurations if (frame["configuration"] == label).any()
        ]
        rows, columns = panels(len(shown))
        figure, axes = new_figure(rows, columns, height=2.1 * rows + 0.9, sharex=True, sharey=True)
        every = tables.at_longest("training")
        by_trial = (
            (every["clip_coefficient"] < 1).groupby([every["configuration"], every["trial"]]).mean()
        )
        share = by_trial.groupby("configuration").mean()
        for ax, label in zip(axes.flat, shown, strict=False):
            own = frame[frame["configuration"] == label]
            ax.plot(own["train_step"], own["greatest_preclip"], color=FAINT, linewidth=0.8)
            ax.plot(
                own["train_step"], own["grad_norm_preclip"], color=look[label].colour, linewidth=1.6
            )
            ax.plot(
                own["train_step"],
                own["grad_norm_postclip"],
                color="black",
                linewidth=1.2,
                linestyle=(0, (3, 2)),
            )
            ax.set(yscale="log", title=f"{wrapped(label)}\n{share[label]:.0%} of updates clipped")
        finish(axes, len(shown), "train step (updates)", "‖dL/dW‖")
        figure.legend(
            [
                Line2D([], [], color=FAINT),
                Line2D([], [], color=look[shown[0]].colour),
                Line2D([], [], color="black", linestyle="--"),
            ],
            ["before, greatest", "before, median (configuration's colour)", "after, median"],
            loc="outside lower center",
            ncols=3,
        )
        return figure

    def caption(self, tables: Tables) -> str:
        """In words."""
        return (
            "2-norm of the gradient of all parameters together, before and after the clip, first"
            " seed, in short stretches of training: median, and the greatest before the clip. A"
            " spike of the greatest above the median is an exploding gradient; the percentage is"
            " the mean over seeds, as in the summary."
        )
