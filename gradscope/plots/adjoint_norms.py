"""Per-step gradient norms over the sequence."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pydantic import Field

from gradscope.plots._axes import span, time_axis
from gradscope.plots._lines import lines, reference
from gradscope.plots._looks import legend
from gradscope.plots._plot import Plot, register
from gradscope.plots._rows import MEASURED, moments
from gradscope.plots._style import new_figure
from gradscope.results.tables import Tables

_ITSELF = "‖dL/ds$_t$‖"
_RELATIVE = "(‖dL/ds$_t$‖ / ‖dL/ds$_T$‖)"


@register("adjoint_norms")
class AdjointNorms(Plot):
    """ln ||dL/ds_t|| over t, before training and at its end; below it the truncated one's."""

    relative: bool = Field(
        True,
        description="relative to the norm at the last step that a loss reaches: what is left of "
        "it on the way back; false: the norms themselves",
    )
    requires = ("adjoint_norms",)
    title = "Per-step gradient norm"
    over = "t"
    order = 40

    def data(self, tables: Tables) -> pd.DataFrame:
        """Log norm of the adjoint of the full state by trial and t, at the greatest length.

        ``log_norm`` is the norm itself, ``shown`` what is drawn.
        """
        frame = tables.at_longest(tables.first_and_last("adjoint_norms", "state"))
        frame = frame.assign(
            gradient=np.where(frame["tbptt_length"] > 0, "truncated", "full"),
            to_end=frame["t"] - frame["time"],
        )
        last = _at_last(frame) if self.relative else 0.0
        frame = frame.assign(shown=frame["log_norm"] - last)
        columns = ["gradient", "tbptt_length", "tbptt_stride", "t", "to_end", "log_norm", "shown"]
        return frame[[*MEASURED, *columns]]

    def draw(self, tables: Tables) -> Figure:
        """Columns: before and after; rows: full and, where there is one, truncated."""
        frame = self.shown(tables)
        times = moments(frame, tables)
        kinds = [kind for kind in ("full", "truncated") if (frame["gradient"] == kind).any()]
        bottom, top = span(frame["shown"])
        x, xlabel = time_axis(frame, tables)
        figure, axes = new_figure(
            len(kinds), len(times), height=3.2 * len(kinds) + 0.6, sharey=True, sharex=True
        )
        for row, kind in zip(axes, kinds, strict=True):
            for ax, when in zip(row, times, strict=True):
                part = frame[(frame["when"] == when) & (frame["gradient"] == kind)]
                floor = bottom if kind == "full" else None
                lines(ax, part, tables, x=x, y="shown", floor=floor)
                reference(ax, y=0 if self.relative else None)
                ax.set_ylim(bottom, top)
                ax.set_title(when if len(kinds) == 1 else f"{when}, {kind}")
            row[0].set_ylabel(f"ln {_RELATIVE if self.relative else _ITSELF} (nats)")
        for ax in axes[-1]:
            ax.set_xlabel(xlabel)
        legend(figure, tables, frame["configuration"])
        return figure

    def caption(self, tables: Tables) -> str:
        """What the norm is of, how to read it, and what truncation leaves out."""
        words = tables.words
        text = (
            "Natural logarithm of the 2-norm, over units and batch together, of the total gradient "
            f"of {words.loss} with respect to the full state at step t: {words.spread}. "
        )
        if self.relative:
            text += "Relative to its value at the last step that a loss reaches, where it is 0. "
        text += "Where the loss is at the end, read from right to left: a fall is what is lost on "
        text += "the way back."
        if (self.shown(tables)["gradient"] == "truncated").any():
            text += (
                f" Truncated: what reaches s_t under the {words.one}'s TBPTT; steps that nothing "
                "reaches are left out."
            )
        return text


def _at_last(frame: pd.DataFrame) -> pd.Series:
    """For each row the log norm at the last step of its measurement that a loss reaches."""
    reached = frame[np.isfinite(frame["log_norm"])]
    keys = ["trial", "train_step", "gradient"]
    last = reached.loc[reached.groupby(keys)["t"].idxmax(), [*keys, "log_norm"]]
    found = frame[keys].merge(last, on=keys, how="left")["log_norm"]
    return found.fillna(0.0).set_axis(frame.index)  # nothing reaches a step: -inf stays -inf
