"""Figures of a phase diagram."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import CenteredNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gradscope.plots._axes import edges, legend_below
from gradscope.plots._lines import reference
from gradscope.plots._style import INK, new_figure

#: gains that the legend of the spectra names at most
_NAMED_GAINS = 8


def exponent_against_gain(frame: pd.DataFrame, curves: pd.DataFrame) -> Figure:
    """The largest exponent against gain, with the curves of mean field.

    A colour for each input variance.

    Args:
        frame: as ``PhaseDiagram.measure`` gives it.
        curves: as in ``Theory``.
    """
    largest = frame[frame["index"] == 0]
    variances = sorted(largest["input_variance"].unique())
    shades = dict(zip(variances, sns.color_palette("viridis", len(variances)), strict=True))
    figure, axes = new_figure(1, 1, height=4.2)
    ax = axes[0, 0]
    for variance in variances:
        by_gain = largest[largest["input_variance"] == variance].groupby("gain")["exponent"]
        mean, low, high = by_gain.mean(), by_gain.min(), by_gain.max()
        ax.errorbar(
            mean.index,
            mean,
            yerr=[mean - low, high - mean],
            color=shades[variance],
            linestyle="",
            marker="o",
            markersize=4,
            capsize=2,
            linewidth=0.9,
        )
        curve = curves[curves["input_variance"] == variance]
        ax.plot(curve["gain"], curve["mean_field_exponent"], color=shades[variance], linewidth=1.3)
    reference(ax, y=0)
    ax.set(xlabel="gain g", ylabel="largest Lyapunov exponent (nats/step)")
    handles = [Line2D([], [], color=shades[v], marker="o") for v in variances]
    names = [f"input variance {v:g}" for v in variances]
    legend_below(figure, dict(zip(names, handles, strict=True)))
    return figure


def phase_map(frame: pd.DataFrame, critical: pd.DataFrame) -> Figure:
    """The largest exponent over gain and input variance, with mean field's critical line.

    Args:
        frame: as ``PhaseDiagram.measure`` gives it.
        critical: as in ``Theory``.
    """
    table = frame[frame["index"] == 0].pivot_table(
        index="input_variance", columns="gain", values="exponent"
    )
    norm = CenteredNorm(0, max(float(np.nanmax(np.abs(table.to_numpy()))), 1e-6))
    figure, axes = new_figure(1, 1, width=7.5, height=1.6 + 0.45 * len(table))
    ax = axes[0, 0]
    # the variances are shown as equal rows, so that 0 and a logarithmic grid have their place alike
    rows = np.arange(len(table) + 1) - 0.5
    mesh = ax.pcolormesh(
        edges(table.columns.to_numpy(dtype=float)),
        rows,
        table.to_numpy(),
        norm=norm,
        cmap="vlag_r",
        rasterized=True,
    )
    ax.set_yticks(range(len(table)), [f"{v:g}" for v in table.index])
    ax.grid(False)
    if len(critical):
        heights = [list(table.index).index(v) for v in critical["input_variance"]]
        ax.plot(critical["gain"], heights, color=INK, marker="o", markersize=4, linewidth=1.3)
        ax.set_xlim(edges(table.columns.to_numpy(dtype=float))[[0, -1]])
    ax.set(xlabel="gain g", ylabel="input variance")
    figure.colorbar(mesh, ax=ax, label="largest exponent (nats/step)")
    return figure


def spectra(frame: pd.DataFrame) -> Figure:
    """Exponents by index, a colour for each gain, a panel for each input variance.

    Args:
        frame: as ``PhaseDiagram.measure`` gives it.
    """
    variances, gains = sorted(frame["input_variance"].unique()), sorted(frame["gain"].unique())
    shades = dict(zip(gains, sns.color_palette("flare", len(gains)), strict=True))
    columns = min(3, len(variances))
    figure, axes = new_figure(
        -(-len(variances) // columns),
        columns,
        height=2.6 * -(-len(variances) // columns) + 0.8,
        sharey=True,
    )
    for ax in axes.flat[len(variances) :]:
        ax.set_visible(False)
    for ax, variance in zip(axes.flat, variances, strict=False):
        for gain, rows in frame[frame["input_variance"] == variance].groupby("gain"):
            mean = rows.groupby("index")["exponent"].mean().replace(-np.inf, np.nan)
            ax.plot(
                mean.index + 1, mean, color=shades[gain], linewidth=1.2, marker=".", markersize=3
            )
        reference(ax, y=0)
        ax.set(title=f"input variance {variance:g}", xlabel="index i")
    axes[0, 0].set_ylabel("exponent λ$_i$ (nats/step)")
    places = np.linspace(0, len(gains) - 1, min(len(gains), _NAMED_GAINS))
    named = [gains[round(place)] for place in places]
    legend_below(figure, {f"g = {g:g}": Line2D([], [], color=shades[g]) for g in named})
    return figure
