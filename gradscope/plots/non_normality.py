"""Non-normality of matrices and Jacobians."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradscope.plots._axes import legend_below, plain
from gradscope.plots._lines import reference
from gradscope.plots._looks import looks
from gradscope.plots._plot import Plot, register
from gradscope.plots._rows import late, present
from gradscope.plots._style import FAINT, new_figure
from gradscope.results.tables import Tables
from gradscope.results.telling import MOST

#: column to its marker on the right
_MODULI = {"spectral_radius": "o", "numerical_radius": "d", "spectral_norm": "|"}


@register("non_normality")
class NonNormalityPlot(Plot):
    """Henrici's departure, and spectral radius against numerical radius and norm."""

    requires = ("non_normality",)
    title = "Non-normality"
    over = "henrici_relative"
    order = 75

    def data(self, tables: Tables) -> pd.DataFrame:
        """Mean over seeds and steps by configuration and matrix, at the last measurement."""
        by_matrix = late(tables, "non_normality").groupby(["configuration", "matrix"], sort=False)
        return by_matrix[["henrici_relative", *_MODULI, "kreiss"]].mean().reset_index()

    def draw(self, tables: Tables) -> Figure:
        """A row for each matrix; left the departure, right the moduli."""
        look = looks(tables)
        frame = self.shown(tables)
        frame = frame[frame["configuration"].isin(present(frame, tables, MOST))].sort_values(
            "configuration",
            key=lambda labels: labels.map(tables.configurations.index),
            kind="stable",
        )
        figure, axes = new_figure(1, 2, height=1.0 + 0.27 * len(frame), sharey=True)
        left, right = axes[0]
        rows = np.arange(len(frame))
        colours = [look[label].colour for label in frame["configuration"]]
        left.barh(rows, frame["henrici_relative"], color=colours, height=0.7)
        left.set(xlim=(0, 1), xlabel="Henrici's departure / Frobenius norm")
        _draw_moduli(right, frame)
        pairs = zip(frame["configuration"], frame["matrix"], strict=True)
        names = [f"{plain(label)}   {matrix}" for label, matrix in pairs]
        left.set_yticks(rows, names, fontsize="small")
        left.invert_yaxis()
        handles, labels = right.get_legend_handles_labels()
        legend_below(figure, dict(zip(labels, handles, strict=True)))
        return figure

    def caption(self, tables: Tables) -> str:
        """What is on the left and on the right, and of which matrices."""
        words = tables.words
        return (
            "Left: how far a matrix is from normal, 0 for one with orthogonal eigenvectors, 1 for "
            "a nilpotent one. Right: its spectral radius (the long run of its powers), numerical "
            "radius and spectral norm (one step); the wider apart, the more a gradient may grow "
            "before the eigenvalues have their say. Of the recurrent matrices W of each gate and "
            f"the step Jacobian J, {words.mean_of_steps}, {words.last}."
        )


def _draw_moduli(ax: Axes, frame: pd.DataFrame) -> None:
    """Spectral radius, numerical radius and norm of every matrix, on one line."""
    rows = np.arange(len(frame))
    ax.hlines(rows, frame["spectral_radius"], frame["spectral_norm"], color=FAINT, linewidth=1)
    for column, marker in _MODULI.items():
        ax.plot(
            frame[column],
            rows,
            linestyle="",
            marker=marker,
            color="black",
            markersize=5,
            label=column.replace("_", " "),
        )
    reference(ax, x=1)
    ax.set(xlabel="modulus")
