"""The heads of recurrences with a matrix for a state."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from gradscope.plots._axes import legend_below, plain
from gradscope.plots._plot import Plot, register
from gradscope.plots._rows import late, present
from gradscope.plots._style import FAINT, INK, new_figure, points
from gradscope.results.tables import Tables

_REACHED, _BEYOND = "#2a6f97", "#c8553d"
_LOW, _HIGH = "#5b8db8", "#c8553d"
#: recurrences shown at most
_ROWS = 48


@register("heads")
class HeadsPlot(Plot):
    """Memory horizon, eigenvalues, saturated decays and effective rank of every head."""

    requires = ("heads",)
    title = "Heads of matrix states"
    over = "horizon"
    order = 47

    def data(self, tables: Tables) -> pd.DataFrame:
        """The last measurement of every sequence and head."""
        frame = late(tables, "heads")
        shown = ["horizon", "censored", "longest", "eigenvalue_low", "eigenvalue_high", "open"]
        about = ["configuration", "trial", "train_step", "sequence", "head"]
        return frame[[*about, *shown, "shut", "rank", "most", "rate", "adjoint_log_ratio"]]

    def draw(self, tables: Tables) -> Figure:
        """A row for each recurrence, a panel for each measure."""
        frame = self.shown(tables)
        labels = present(frame, tables, _ROWS)
        figure, axes = new_figure(1, 4, height=1.5 + 0.26 * len(labels), sharey=True)
        place = {label: row for row, label in enumerate(labels)}
        frame = frame[frame["configuration"].isin(labels)]
        at = frame["configuration"].map(place).to_numpy(dtype=float) + _apart(frame)
        _draw_horizons(axes[0, 0], frame, at)
        _draw_eigenvalues(axes[0, 1], frame, at)
        _draw_saturation(axes[0, 2], frame, labels)
        _draw_ranks(axes[0, 3], frame, at)
        axes[0, 0].set_yticks(range(len(labels)), map(plain, labels), fontsize="x-small")
        axes[0, 0].set_ylim(len(labels) - 0.5, -0.5)
        legend_below(figure, _handles(frame))
        return figure

    def caption(self, tables: Tables) -> str:
        """What a point is, and what each panel measures."""
        words = tables.words
        return (
            f"A point is a head {words.at_last}{words.shown}. Horizon: the lag after which the "
            "norm of A_T … A_{T−lag+1}, the Jacobian on the head's key axis, has fallen by e; "
            "a triangle at the right lies beyond the sequence. Eigenvalues: the least and the "
            "greatest |λ| of A_t over some steps; at 1 a direction is kept, above 1 it grows. "
            "Saturated decays: the share of A_t's diagonal below 0.001 (shut: forgets at once) and "
            "above 0.999 (open: keeps for a thousand steps and more), where the gradient of what "
            "makes the decay vanishes. Effective rank: e to the entropy of the last state's "
            "singular values, over the largest that it may be."
        )


def _apart(frame: pd.DataFrame) -> np.ndarray:
    """Heads of one row a little apart, in their order."""
    most = frame.groupby("configuration")["head"].transform("max").clip(lower=1)
    return (frame["head"] / most - 0.5).to_numpy(dtype=float) * 0.55


def _draw_horizons(ax: Axes, frame: pd.DataFrame, at: np.ndarray) -> None:
    """Tokens, the axis logarithmic; what lies beyond the sequence at its end."""
    beyond = frame["censored"].to_numpy(dtype=bool)
    lags = np.where(beyond, frame["longest"], frame["horizon"])
    size = points(14)
    ax.scatter(lags[~beyond], at[~beyond], s=size, color=_REACHED, linewidth=0, alpha=0.75)
    ax.scatter(lags[beyond], at[beyond], s=size, color=_BEYOND, marker=">", linewidth=0, alpha=0.75)
    ax.axvline(1, color=FAINT, linestyle=":", linewidth=1)
    ax.set_xscale("log")
    ax.set_xlabel("memory horizon (steps)")


def _draw_eigenvalues(ax: Axes, frame: pd.DataFrame, at: np.ndarray) -> None:
    """From the least to the greatest modulus, a line for each head."""
    low, high = frame["eigenvalue_low"], frame["eigenvalue_high"]
    ax.hlines(at, low, high, color=_REACHED, linewidth=points(0.9), alpha=0.7)
    ax.axvline(1, color=FAINT, linestyle=":", linewidth=1)
    ax.set_xlim(left=0)
    ax.set_xlabel("|λ| of $A_t$")


def _draw_saturation(ax: Axes, frame: pd.DataFrame, labels: list[str]) -> None:
    """Stacked bars of both shares, the mean over heads."""
    shares = frame.groupby("configuration")[["shut", "open"]].mean().reindex(labels)
    shut, opened = shares["shut"].to_numpy(), shares["open"].to_numpy()
    ax.barh(range(len(labels)), shut, color=_LOW, height=0.6)
    ax.barh(range(len(labels)), opened, left=shut, color=_HIGH, height=0.6)
    ax.set(xlim=(0, 1), xlabel="saturated decays (share)")
    if not float(np.nanmax(shut + opened, initial=0.0)) > 0:
        box = {"facecolor": "white", "edgecolor": "none", "pad": 2}
        ax.text(0.5, 0.5, "none", transform=ax.transAxes, ha="center", color=INK, bbox=box)


def _draw_ranks(ax: Axes, frame: pd.DataFrame, at: np.ndarray) -> None:
    """Over the largest that it may be."""
    share = (frame["rank"] / frame["most"]).to_numpy(dtype=float)
    ax.scatter(share, at, s=points(14), color=_REACHED, linewidth=0, alpha=0.75)
    ax.set(xlim=(0, 1.05), xlabel="effective rank (share)")


def _handles(frame: pd.DataFrame) -> dict[str, Line2D | Patch]:
    """Samples of what is drawn."""
    dot = Line2D([], [], color=_REACHED, marker="o", linestyle="", markersize=4)
    handles: dict[str, Line2D | Patch] = {"a head": dot}
    if bool(frame["censored"].any()):
        beyond = Line2D([], [], color=_BEYOND, marker=">", linestyle="", markersize=4)
        handles["a head whose horizon lies beyond the sequence"] = beyond
    handles |= {"decay shut": Patch(color=_LOW), "decay open": Patch(color=_HIGH)}
    return handles
