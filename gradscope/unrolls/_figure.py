"""The figure of an unroll: the gradient's size, its sign, and its variance, by horizon."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradscope.plots._lines import reference
from gradscope.plots._style import FAINT, INK, NotebookFigure, labelled_again, new_figure, styled
from gradscope.results.statistics import Estimate

_BLUE, _ORANGE = sns.color_palette("colorblind")[0], sns.color_palette("colorblind")[1]


def horizon_figure(
    frame: pd.DataFrame,
    starts: pd.DataFrame,
    *,
    exponent: float,
    trusted: Estimate,
    truncation: int | None,
    said: str,
) -> Figure:
    """Three panels over the horizon T.

    Args:
        frame: a row for each horizon.
        starts: a row for each horizon and start.
        exponent: the largest, nats per step, whose slope is dotted, twice of it for the variance.
        trusted: the horizon that is marked.
        truncation: steps that are marked; None marks nothing.
        said: what the figure shows, for who cannot see it.
    """
    with styled():
        figure, axes = new_figure(1, 3, width=11.0, height=3.6, sharex=True)
        size, sign, variance = axes[0]
        _draw_norms(size, frame, starts, exponent)
        _draw_signs(sign, frame)
        _draw_variance(variance, frame, exponent)
        for ax in (size, sign, variance):
            ax.set_xlabel("horizon T (steps)")
            if not trusted.censored and math.isfinite(trusted.centre):
                ax.axvline(trusted.centre, color=_ORANGE, linewidth=1.2)
            if truncation is not None:
                ax.axvline(truncation, color=INK, linewidth=1.0, linestyle=(0, (4, 2)))
        labelled_again(figure)
    if isinstance(figure, NotebookFigure):
        figure.description = said
    return figure


def _draw_norms(ax: Axes, frame: pd.DataFrame, starts: pd.DataFrame, exponent: float) -> None:
    horizons = frame["horizon"].to_numpy()
    logs = starts.pivot_table(
        index="horizon", columns="start", values="log_norm", dropna=False
    ).to_numpy()
    finite = np.where(np.isfinite(logs), logs, np.nan)
    rows = np.isfinite(finite).any(1)
    for share, shade in (((0.0, 1.0), 0.12), ((0.25, 0.75), 0.25)):
        low, high = np.nanquantile(finite[rows], share, axis=1)
        ax.fill_between(horizons[rows], low, high, color=_BLUE, alpha=shade, linewidth=0)
    median = frame["log_norm"].replace([np.inf, -np.inf], np.nan)
    ax.plot(horizons, median, color=_BLUE, marker="o", markersize=3, linewidth=1.4)
    dead = frame[frame["log_norm"] == -np.inf]
    if len(dead) and rows.any():
        ax.plot([dead["horizon"].iloc[0]], [np.nanmin(finite)], marker="v", color=_BLUE)
    if np.isfinite(exponent) and rows.any():
        first = int(np.flatnonzero(rows)[0])
        line = median.iloc[first] + exponent * (horizons - horizons[first])
        ax.plot(horizons, line, color=FAINT, linestyle=(0, (1, 2)), linewidth=1.2)
    ax.set(ylabel="ln ‖gradient‖ (nats)", title="size")


def _draw_signs(ax: Axes, frame: pd.DataFrame) -> None:
    horizons = frame["horizon"]
    ax.fill_between(
        horizons,
        frame["agreement_low"],
        frame["agreement_high"],
        color=_BLUE,
        alpha=0.18,
        linewidth=0,
    )
    ax.plot(horizons, frame["sign_agreement"], color=_BLUE, marker="o", markersize=3, linewidth=1.4)
    ax.plot(
        horizons, frame["local_agreement"], color=FAINT, marker="s", markersize=2.5, linewidth=1
    )
    reference(ax, y=0.5)
    ax.set(ylabel="sign agreement", title="sign", ylim=(0.0, 1.04))


def _draw_variance(ax: Axes, frame: pd.DataFrame, exponent: float) -> None:
    known = frame[np.isfinite(frame["log_variance"])]
    ax.plot(
        known["horizon"],
        known["log_variance"],
        color=_BLUE,
        marker="o",
        markersize=3,
        linewidth=1.4,
    )
    if len(known) and np.isfinite(exponent):
        away = known["horizon"] - known["horizon"].iloc[0]
        line = known["log_variance"].iloc[0] + 2 * exponent * away
        ax.plot(known["horizon"], line, color=FAINT, linestyle=(0, (1, 2)), linewidth=1.2)
    ax.set(ylabel="ln variance over starts (nats)", title="variance")
