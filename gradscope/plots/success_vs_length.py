"""Success rate against sequence length."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gradscope.plots._plot import Plot, legend, looks, new_figure, register, wrapped
from gradscope.results.tables import Tables, summary


@register("success_vs_length")
class SuccessVsLength(Plot):
    """The share of seeds that solve the task, with Wilson's interval, against length, or by
    configuration at one length.
    """

    requires = ("trials",)
    title = "Success rate"
    order: ClassVar[int] = 15

    def data(self, tables: Tables) -> pd.DataFrame:
        """Success rate and interval by configuration and length."""
        return summary(tables)[
            [
                "configuration",
                "length",
                "trials",
                "solved",
                "success_rate",
                "success_low",
                "success_high",
            ]
        ]

    def draw(self, tables: Tables) -> Figure:
        """Lines over lengths; for a single length, points over configurations."""
        frame, look = self.data(tables), looks(tables)
        if len(tables.lengths) < 2:
            return self._one_length(frame, tables)
        figure, axes = new_figure(1, 1, height=3.8)
        ax, shown = (
            axes[0, 0],
            [c for c in tables.configurations if (frame["configuration"] == c).any()],
        )
        spread = 0.03 * np.linspace(-1, 1, len(shown)) if len(shown) > 1 else [0.0]
        for label, shift in zip(shown, spread, strict=True):
            own = frame[frame["configuration"] == label]
            x = own["length"] * np.exp(shift)
            ax.errorbar(
                x,
                own["success_rate"],
                yerr=_errors(own),
                color=look[label].colour,
                linestyle=look[label].dash,
                marker="o",
                markersize=5,
                capsize=2,
                linewidth=1.6,
                elinewidth=0.8,
            )
        ax.set(
            xscale="log",
            xlabel="sequence length (steps)",
            ylabel="solved (share of seeds)",
            ylim=(-0.05, 1.05),
        )
        ax.set_xticks(tables.lengths, [str(length) for length in tables.lengths])
        ax.minorticks_off()
        legend(figure, tables, frame["configuration"])
        return figure

    def _one_length(self, frame: pd.DataFrame, tables: Tables) -> Figure:
        look = looks(tables)
        figure, axes = new_figure(1, 1, width=7.0, height=0.9 + 0.36 * len(frame))
        ax = axes[0, 0]
        for row, (_, own) in enumerate(frame.iterrows()):
            ax.errorbar(
                [own["success_rate"]],
                [row],
                xerr=_errors(own.to_frame().T),
                color=look[own["configuration"]].colour,
                marker="o",
                markersize=7,
                capsize=3,
            )
        ax.set_yticks(
            range(len(frame)), [wrapped(str(label), 40) for label in frame["configuration"]]
        )
        ax.invert_yaxis()
        length = f" at length {tables.lengths[-1]}" if tables.lengths else ""
        ax.set(xlabel=f"solved{length} (share of seeds)", xlim=(-0.03, 1.03))
        return figure

    def caption(self, tables: Tables) -> str:
        """In words."""
        seeds = sorted(set(self.data(tables)["trials"]))
        return (
            "Share of seeds whose trained model meets the task's criterion; bars are 95% Wilson"
            f" intervals of that share over {' or '.join(map(str, seeds))}"
            f" seed{'s' * (seeds[-1] > 1)}."
            + (" Points of one length are drawn a little apart." if len(tables.lengths) > 1 else "")
        )


def _errors(frame: pd.DataFrame) -> np.ndarray:
    rate = frame["success_rate"].astype(float)
    return np.clip(
        np.array(
            [rate - frame["success_low"].astype(float), frame["success_high"].astype(float) - rate]
        ),
        0,
        None,
    )
