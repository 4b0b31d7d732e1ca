"""Per-step gradient norms over the sequence."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gradscope.plots._plot import Plot, legend, limits, lines, new_figure, register, time_axis
from gradscope.results.tables import Tables


@register("adjoint_norms")
class AdjointNorms(Plot):
    """ln ||dL/ds_t|| over t, before training and at its end; under TBPTT the truncated one below."""

    requires = ("adjoint_norms",)
    title = "Per-step gradient norm"
    order: ClassVar[int] = 40

    def data(self, tables: Tables) -> pd.DataFrame:
        """Log norm of the adjoint of the full state by trial and t, at the greatest length."""
        frame = tables.at_longest(tables.first_and_last("adjoint_norms"))
        frame = frame[frame["block"] == "state"].assign(
            gradient=np.where(
                frame.loc[frame["block"] == "state", "tbptt_length"] > 0, "truncated", "full"
            )
        )
        frame = frame.assign(to_end=frame["t"] - frame["time"])
        return frame[
            [
                "trial",
                "configuration",
                "seed",
                "when",
                "train_step",
                "gradient",
                "tbptt_length",
                "tbptt_stride",
                "t",
                "to_end",
                "log_norm",
            ]
        ]

    def draw(self, tables: Tables) -> Figure:
        """Columns: before and after; rows: full and, where there is one, truncated."""
        frame = self.data(tables)
        times = [when for when in tables.moments if (frame["when"] == when).any()]
        low, high, margin = limits(frame["log_norm"])
        x, name = time_axis(frame, tables)
        kinds = [kind for kind in ("full", "truncated") if (frame["gradient"] == kind).any()]
        figure, axes = new_figure(
            len(kinds), len(times), height=3.2 * len(kinds) + 0.6, sharey=True, sharex=True
        )
        for row, kind in enumerate(kinds):
            for column, when in enumerate(times):
                ax, own = (
                    axes[row, column],
                    frame[(frame["when"] == when) & (frame["gradient"] == kind)],
                )
                lines(
                    ax,
                    own,
                    tables,
                    x=x,
                    y="log_norm",
                    floor=low - 2 * margin if kind == "full" else None,
                )
                ax.set_ylim(low - 2 * margin, high + margin)
                ax.set_title(when if len(kinds) == 1 else f"{when}, {kind}")
                if row == len(kinds) - 1:
                    ax.set_xlabel(name)
            axes[row, 0].set_ylabel("ln ‖dL/ds$_t$‖ (nats)")
        legend(figure, tables, frame["configuration"])
        return figure

    def caption(self, tables: Tables) -> str:
        """In words."""
        text = (
            "Natural logarithm of the 2-norm, over units and batch together, of the total gradient"
            " of the loss (mean over scored steps and batch) with respect to the full state at step"
            " t: median over seeds, band from the least to the greatest. Where the loss is at the"
            " end, read from right to left: a fall is what is lost on the way back."
        )
        if (self.data(tables)["gradient"] == "truncated").any():
            text += (
                " Truncated: what reaches s_t under the configuration's TBPTT; steps that nothing"
                " reaches are left out."
            )
        return text
