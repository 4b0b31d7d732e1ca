"""Success rate against sequence length."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gradscope.plots._axes import wrapped
from gradscope.plots._looks import legend, looks
from gradscope.plots._plot import Plot, register
from gradscope.plots._rows import present
from gradscope.plots._style import new_figure
from gradscope.results.summary import summary
from gradscope.results.tables import Tables
from gradscope.results.telling import MOST

#: rows of a figure of one length at most
_ROWS = 30


@register("success_vs_length")
class SuccessVsLength(Plot):
    """The share of seeds that solve the task, with its exact interval, against length."""

    requires = ("trials",)
    title = "Success rate"
    over = "length"
    order = 15
    of_recordings = False
    face = 7

    def data(self, tables: Tables) -> pd.DataFrame:
        """Success rate and interval by configuration and length."""
        rates = ["success_rate", "success_rate_low", "success_rate_high"]
        return summary(tables)[["configuration", "length", "trials", "solved", *rates]]

    def draw(self, tables: Tables) -> Figure:
        """Lines over lengths; for a single length, points over configurations."""
        if len(tables.lengths) < 2:
            return _by_configuration(self.shown(tables), tables)
        return _by_length(self.shown(tables), tables)

    def in_words(self, tables: Tables) -> str:
        """That all trials solved the task, or none did, where that is all there is to see."""
        rates = self.shown(tables)
        solved, trials = int(rates["solved"].sum()), int(rates["trials"].sum())
        if len(rates) > 1 and solved not in (0, trials):
            return ""
        lengths = f" at {len(tables.lengths)} lengths" if len(tables.lengths) > 1 else ""
        least = int(rates["trials"].min())
        low, high = rates["success_rate_low"].iloc[0], rates["success_rate_high"].iloc[0]
        seeds = f"{least} seed{'s' * (least > 1)} of each configuration"
        return (
            f"{solved} of {trials} trials{lengths} solved the task. By {seeds} that leaves a share "
            f"of {low:.0%} to {high:.0%} (exact 95% interval, Clopper and Pearson)."
        )

    def caption(self, tables: Tables) -> str:
        """What share is shown, and over how many seeds its interval is."""
        seeds = sorted(set(self.shown(tables)["trials"]))
        apart = " Points of one length are drawn a little apart." if len(tables.lengths) > 1 else ""
        return (
            "Share of seeds whose trained model meets the task's criterion; bars are exact 95% "
            f"intervals of that share (Clopper and Pearson) over {' or '.join(map(str, seeds))} "
            f"seed{'s' * (seeds[-1] > 1)}.{apart}"
        )


def _by_length(frame: pd.DataFrame, tables: Tables) -> Figure:
    """A line for each configuration, its points a little apart from those of the others."""
    look, labels = looks(tables), present(frame, tables, MOST)
    figure, axes = new_figure(1, 1, height=3.8)
    ax = axes[0, 0]
    shifts = 0.03 * np.linspace(-1, 1, len(labels)) if len(labels) > 1 else np.zeros(1)
    for label, shift in zip(labels, shifts, strict=True):
        rates = frame[frame["configuration"] == label]
        ax.errorbar(
            rates["length"] * np.exp(shift),
            rates["success_rate"],
            yerr=_errors(rates),
            color=look[label].colour,
            linestyle=look[label].dash,
            marker=look[label].marker,
            markersize=5,
            capsize=2,
            linewidth=1.6,
            elinewidth=0.8,
        )
    ax.set(xscale="log", ylim=(-0.05, 1.05))
    ax.set(xlabel="sequence length (steps)", ylabel="solved (share of seeds)")
    ax.set_xticks(tables.lengths, [str(length) for length in tables.lengths])
    ax.minorticks_off()
    legend(figure, tables, frame["configuration"])
    return figure


def _by_configuration(frame: pd.DataFrame, tables: Tables) -> Figure:
    """A row for each configuration; of very many those that tell most."""
    look = looks(tables)
    frame = frame[frame["configuration"].isin(present(frame, tables, _ROWS))]
    figure, axes = new_figure(1, 1, width=7.0, height=0.9 + 0.36 * len(frame))
    ax = axes[0, 0]
    for row in range(len(frame)):
        rate = frame.iloc[[row]]
        ax.errorbar(
            rate["success_rate"],
            [row],
            xerr=_errors(rate),
            color=look[rate["configuration"].iloc[0]].colour,
            marker=look[rate["configuration"].iloc[0]].marker or "o",
            markersize=7,
            capsize=3,
        )
    names = [wrapped(str(label), 40) for label in frame["configuration"]]
    ax.set_yticks(range(len(frame)), names)
    ax.invert_yaxis()
    length = f" at length {tables.lengths[-1]}" if tables.lengths else ""
    ax.set(xlabel=f"solved{length} (share of seeds)", xlim=(-0.03, 1.03))
    return figure


def _errors(rates: pd.DataFrame) -> np.ndarray:
    """How far the interval reaches below and above each rate."""
    below = rates["success_rate"] - rates["success_rate_low"]
    above = rates["success_rate_high"] - rates["success_rate"]
    return np.clip(np.array([below, above]), 0, None)
