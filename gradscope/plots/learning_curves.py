"""Test loss against training steps."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gradscope.plots._plot import FAINT, Plot, legend, lines, new_figure
from gradscope.registry import register
from gradscope.tables import Tables


@register("plot", "learning_curves")
class LearningCurves(Plot):
    """Test loss against optimiser steps by configuration, with bands over seeds and the memoryless baseline."""

    requires = ("evaluation", "trials")
    title = "Learning curves"
    order: ClassVar[int] = 10

    def data(self, tables: Tables) -> pd.DataFrame:
        """Loss by trial and train_step; a trial that ended early keeps its last loss to the end."""
        frame = tables["evaluation"][["trial", "configuration", "length", "seed", "train_step", "loss"]]
        filled = []
        for _, group in frame.groupby(["configuration", "length"], sort=False):
            steps = sorted(frame["train_step"].unique())
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
        """A panel for each length."""
        frame, trials = self.data(tables), tables["trials"]
        lengths = sorted(frame["length"].unique())
        figure, axes = new_figure(1, len(lengths), height=3.6, sharey=True)
        for column, length in enumerate(lengths):
            ax, own = axes[0, column], frame[frame["length"] == length]
            lines(ax, own, tables, x="train_step", y="loss")
            baseline = trials.loc[trials["length"] == length, "baseline"].iloc[0]
            ax.axhline(baseline, color=FAINT, linestyle="--", linewidth=1)
            ax.set(yscale="log", xlabel="train step (updates)", title=f"length {length}" if len(lengths) > 1 else "")
        axes[0, 0].set_ylabel(f"test loss ({_unit(tables)})")
        baseline = Line2D([], [], color=FAINT, linestyle="--", linewidth=1)
        legend(figure, tables, frame["configuration"], **{"memoryless baseline": baseline})
        return figure

    def caption(self, tables: Tables) -> str:
        """In words."""
        return (
            "Loss on test sequences against optimiser steps: median over seeds, band from the least to the greatest. A trial "
            "that stopped, solved or diverged, keeps its last loss. Dashed: the best loss without looking at the inputs."
        )


def _unit(tables: Tables) -> str:
    return "MSE" if "adding" in tables.manifest["trials"][0]["settings"]["task"]["name"] else "nats"
