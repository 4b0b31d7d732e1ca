"""Non-normality of matrices and Jacobians."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gradscope.plots._plot import FAINT, Plot, looks, new_figure, plain, register
from gradscope.results.tables import Tables


@register("non_normality")
class NonNormalityPlot(Plot):
    """Henrici's relative departure, and spectral radius against numerical radius and norm, at the
    end of training.
    """

    requires = ("non_normality",)
    title = "Non-normality"
    order: ClassVar[int] = 75

    def data(self, tables: Tables) -> pd.DataFrame:
        """Mean over seeds and steps by configuration and matrix."""
        frame = tables.at_longest(tables.first_and_last("non_normality"))
        late = frame[frame["when"] == tables.moments[1]]
        frame = late if len(late) else frame
        columns = [
            "henrici_relative",
            "spectral_radius",
            "numerical_radius",
            "spectral_norm",
            "kreiss",
        ]
        return frame.groupby(["configuration", "matrix"], sort=False)[columns].mean().reset_index()

    def draw(self, tables: Tables) -> Figure:
        """A row for each matrix."""
        frame, look = self.data(tables), looks(tables)
        frame = frame.sort_values(
            "configuration", key=lambda c: c.map(tables.configurations.index), kind="stable"
        )
        rows = np.arange(len(frame))
        figure, axes = new_figure(1, 2, height=1.0 + 0.27 * len(frame), sharey=True)
        left, right = axes[0]
        left.barh(
            rows,
            frame["henrici_relative"],
            color=[look[label].colour for label in frame["configuration"]],
            height=0.7,
        )
        left.set(xlim=(0, 1), xlabel="Henrici's departure / Frobenius norm")
        right.hlines(
            rows, frame["spectral_radius"], frame["spectral_norm"], color=FAINT, linewidth=1
        )
        for column, marker in (
            ("spectral_radius", "o"),
            ("numerical_radius", "d"),
            ("spectral_norm", "|"),
        ):
            right.plot(
                frame[column],
                rows,
                linestyle="",
                marker=marker,
                color="black",
                markersize=5,
                label=column.replace("_", " "),
            )
        right.axvline(1, color=FAINT, linestyle="--", linewidth=1)
        right.set(xlabel="modulus")
        names = [
            f"{plain(label)}   {matrix}"
            for label, matrix in zip(frame["configuration"], frame["matrix"], strict=True)
        ]
        left.set_yticks(rows, names, fontsize=8)
        left.invert_yaxis()
        figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        return figure

    def caption(self, tables: Tables) -> str:
        """In words."""
        return (
            "Left: how far a matrix is from normal, 0 for one with orthogonal eigenvectors, 1 for a"
            " nilpotent one. Right: its spectral radius (the long run of its powers), numerical"
            " radius and spectral norm (one step); the wider apart, the more a gradient may grow"
            " before the eigenvalues have their say. Of the recurrent matrices W of each gate and"
            " the step Jacobian J, mean over seeds and measured steps, end of training."
        )
