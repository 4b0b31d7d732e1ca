"""By how much runs differ from the first of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import Field

from gradscope.plots._axes import wrapped
from gradscope.plots._lines import reference
from gradscope.plots._plot import Plot, register
from gradscope.plots._style import FAINT, INK, new_figure
from gradscope.results.measures import MEASURES
from gradscope.results.tables import Tables

#: the factor between the ends of an axis from which on ratios are drawn on a logarithmic one
_DECADE = 10
#: rows of the figure at most
_ROWS = 40


@register("differences")
class Differences(Plot):
    """By how much a measure of each configuration differs from the same one of the first run."""

    measure: str | None = Field(
        None, description="name of a column of the summary; null: what runs are judged by"
    )
    requires = ("differences",)
    title = "Differences between runs"
    over = "effect"
    order = 5
    of_recordings = False

    def data(self, tables: Tables) -> pd.DataFrame:
        """The rows of this measure in the table of differences."""
        frame = tables["differences"]
        if frame.empty:
            return frame
        name = self.measure or frame["measure"].iloc[0]
        return frame[frame["measure"] == name].reset_index(drop=True)

    def draw(self, tables: Tables) -> Figure:
        """A row for each configuration and length, a panel for each run."""
        frame = self.shown(tables)
        runs = list(dict.fromkeys(frame["run"]))
        rows = max(min(len(frame[frame["run"] == run]), _ROWS) for run in runs)
        figure, axes = new_figure(1, len(runs), height=1.2 + 0.32 * rows, sharex=True)
        for ax, run in zip(axes[0], runs, strict=True):
            _draw(ax, frame[frame["run"] == run].head(_ROWS))
            ax.set(title=f"{run} against {frame['against'].iloc[0]}", xlabel=self._label(frame))
        return figure

    def _label(self, frame: pd.DataFrame) -> str:
        name = str(frame["measure"].iloc[0])
        title = MEASURES[name].title if name in MEASURES else name.replace("_", " ")
        return f"{title}, {'ratio' if frame['is_ratio'].iloc[0] else 'difference'}"

    def caption(self, tables: Tables) -> str:
        """What a row is, what its bar is, and when it is filled."""
        frame = self.shown(tables)
        how = "ratio" if frame["is_ratio"].iloc[0] else "difference"
        most = int(frame.groupby("run").size().max())
        cut = f" The first {_ROWS} of {most}; the CSV has all." if most > _ROWS else ""
        return (
            f"The {how} to {frame['against'].iloc[0]} in the same configuration, seed by seed "
            "where two seeds or more are common, with its 95% interval; none of a single seed. "
            "Filled where it is beyond chance by Holm's correction over the rows of a run. Dotted: "
            f"no difference.{cut}"
        )


def _draw(ax: Axes, frame: pd.DataFrame) -> None:
    """One run's rows; what is filled is beyond chance."""
    ratio, places = bool(frame["is_ratio"].iloc[0]), np.arange(len(frame))
    ax.hlines(places, frame["effect_low"], frame["effect_high"], color=FAINT, linewidth=2)
    for evident, face in ((True, INK), (False, "white")):
        chosen = (frame["evident"] == evident).to_numpy()
        ax.plot(
            frame.loc[chosen, "effect"],
            places[chosen],
            "o",
            color=INK,
            markerfacecolor=face,
            markersize=5,
        )
    names = [
        wrapped(str(label), 40) + (f", length {length}" if length >= 0 else "")
        for label, length in zip(frame["configuration"], frame["length"], strict=True)
    ]
    ax.set_yticks(places, names)
    ax.set_ylim(len(frame) - 0.4, -0.6)
    reference(ax, x=1 if ratio else 0)
    ends = frame[["effect", "effect_low", "effect_high"]].to_numpy(dtype=float)
    finite = ends[np.isfinite(ends) & (ends > 0)]
    if ratio and len(finite) and finite.max() > _DECADE * finite.min():
        ax.set_xscale("log")
