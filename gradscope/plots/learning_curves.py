"""Test loss against training steps."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gradscope.plots._lines import lines, reference
from gradscope.plots._looks import REFERENCE, legend
from gradscope.plots._plot import Plot, register
from gradscope.plots._style import FAINT, new_figure
from gradscope.results.scales import Scale
from gradscope.results.tables import Tables
from gradscope.results.words import SPREAD_OF_LOSSES


@register("learning_curves")
class LearningCurves(Plot):
    """Test loss against optimiser steps, with bands over seeds and the memoryless baseline."""

    requires = ("evaluation", "trials")
    title = "Learning curves"
    over = "train_step"
    order = 10
    of_recordings = False
    face = 6

    def data(self, tables: Tables) -> pd.DataFrame:
        """Loss by trial and train_step; a trial that ended early keeps its last loss to the end."""
        about = ["trial", "configuration", "length", "seed"]
        frame = tables["evaluation"][[*about, "train_step", "loss"]]
        if frame.empty:
            return frame
        trials = frame[about].drop_duplicates("trial")
        place = trials.groupby(["configuration", "length"], sort=False).ngroup()
        trials = trials.loc[place.sort_values(kind="stable").index]
        losses = frame.pivot(index="trial", columns="train_step", values="loss")
        losses = losses.loc[trials["trial"]].ffill(axis="columns")
        curves = trials.loc[trials.index.repeat(losses.shape[1])].reset_index(drop=True)
        steps = np.tile(losses.columns.to_numpy(), len(losses))
        return curves.assign(train_step=steps, loss=losses.to_numpy().ravel())

    def draw(self, tables: Tables) -> Figure:
        """A panel for each task and length."""
        frame, trials = self.shown(tables), tables["trials"]
        panels = list(trials.groupby(["task", "length"], sort=True))
        tasks, lengths = trials["task"].nunique(), trials["length"].nunique()
        figure, axes = new_figure(1, len(panels), height=3.6, sharey=tasks == 1)
        for ax, (_, group) in zip(axes[0], panels, strict=True):
            curves = frame[frame["trial"].isin(group["trial"])]
            lines(ax, curves, tables, x="train_step", y="loss", scale=Scale.GEOMETRIC)
            for baseline in group["baseline"].unique():
                reference(ax, y=baseline)
            title = _title(group.iloc[0], tasks > 1, lengths > 1)
            ax.set(yscale="log", xlabel="train step (updates)", title=title)
            if ax is axes[0, 0] or tasks > 1:
                unit = group["loss_unit"].iloc[0].replace("mean squared error", "MSE")
                ax.set_ylabel(f"test loss ({unit})")
        dotted = Line2D([], [], color=FAINT, linestyle=REFERENCE, linewidth=1.2)
        legend(figure, tables, frame["configuration"], **{"memoryless baseline": dotted})
        return figure

    def caption(self, tables: Tables) -> str:
        """What is measured, what a trial that stopped shows, and what is dotted."""
        return (
            f"Loss on test sequences against optimiser steps: {SPREAD_OF_LOSSES}. A trial that "
            "stopped, solved or diverged, keeps its last loss. Dotted: the best loss without "
            "looking at the inputs."
        )


def _title(trial: pd.Series, task_differs: bool, length_differs: bool) -> str:
    """A panel's task and length, as far as they differ between panels."""
    task, length = str(trial["task"]).replace("_", " "), int(trial["length"])
    parts = [task] if task_differs else []
    if length_differs and length > 0:
        parts.append(f"length {length}")
    return ", ".join(parts)
