"""Test loss against training steps."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gradscope.plots._plot import FAINT, Plot, legend, lines, new_figure, register
from gradscope.results.tables import Tables


@register("learning_curves")
class LearningCurves(Plot):
    """Test loss against optimiser steps by configuration, with bands over seeds and the memoryless
    baseline.
    """

    requires = ("evaluation", "trials")
    title = "Learning curves"
    order: ClassVar[int] = 10

    def data(self, tables: Tables) -> pd.DataFrame:
        """Loss by trial and train_step; a trial that ended early keeps its last loss to the end."""
        frame = tables["evaluation"][
            ["trial", "configuration", "length", "seed", "train_step", "loss"]
        ]
        filled = []
        steps = sorted(frame["train_step"].unique())
        for _, group in frame.groupby(["configuration", "length"], sort=False):
            for trial, own in group.groupby("trial", sort=False):
                about = own.iloc[0]
                values = own.set_index("train_step")["loss"].reindex(steps).ffill()
                filled.append(
                    pd.DataFrame(
                        {
                            "trial": trial,
                            "configuration": about["configuration"],
                            "length": about["length"],
                            "seed": about["seed"],
                            "train_step": steps,
                            "loss": values.to_numpy(),
                        }
                    )
                )
        return pd.concat(filled, ignore_index=True) if filled else frame

    def draw(self, tables: Tables) -> Figure:
        """A panel for each task and length."""
        frame, trials = self.data(tables), tables["trials"]
        which = list(trials.groupby(["task", "length"], sort=True).groups)
        tasks, lengths = {task for task, _ in which}, {length for _, length in which}
        figure, axes = new_figure(1, len(which), height=3.6, sharey=len(tasks) == 1)
        for ax, (task, length) in zip(axes[0], which, strict=True):
            own = trials[(trials["task"] == task) & (trials["length"] == length)]
            lines(ax, frame[frame["trial"].isin(own["trial"])], tables, x="train_step", y="loss")
            for baseline in own["baseline"].unique():
                ax.axhline(baseline, color=FAINT, linestyle="--", linewidth=1)
            words = [
                task.replace("_", " ") if len(tasks) > 1 else "",
                f"length {length}" if len(lengths) > 1 and length > 0 else "",
            ]
            ax.set(
                yscale="log",
                xlabel="train step (updates)",
                title=", ".join(word for word in words if word),
            )
            if ax is axes[0, 0] or len(tasks) > 1:
                unit = own["loss_unit"].iloc[0].replace("mean squared error", "MSE")
                ax.set_ylabel(f"test loss ({unit})")
        dashed = Line2D([], [], color=FAINT, linestyle="--", linewidth=1)
        legend(figure, tables, frame["configuration"], **{"memoryless baseline": dashed})
        return figure

    def caption(self, tables: Tables) -> str:
        """In words."""
        return (
            "Loss on test sequences against optimiser steps: median over seeds, band from the least"
            " to the greatest. A trial that stopped, solved or diverged, keeps its last loss."
            " Dashed: the best loss without looking at the inputs."
        )
