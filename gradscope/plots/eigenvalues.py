"""Spectra in the complex plane."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from pydantic import Field

from gradscope.plots._plot import FAINT, INK, Plot, first_trials, new_figure, wrapped
from gradscope.registry import register
from gradscope.tables import Tables


@register("plot", "eigenvalues")
class Eigenvalues(Plot):
    """Eigenvalues of the recurrent matrices and of step Jacobians in the complex plane, with the unit circle."""

    most: int = Field(6, ge=1, description="configurations shown at most")
    requires = ("spectra",)
    title = "Eigenvalues in the complex plane"
    order: ClassVar[int] = 60

    def data(self, tables: Tables) -> pd.DataFrame:
        """Eigenvalues of each configuration's first trial at its end."""
        frame = tables.first_and_last("spectra")
        shown = dict(first_trials(tables, "spectra", self.most))
        frame = frame[frame["trial"].isin(shown.values()) & frame["kind"].isin(["recurrent_matrix", "jacobian"])]
        ends = frame.groupby("trial")["train_step"].transform("max")
        return frame[frame["train_step"] == ends][
            ["configuration", "trial", "train_step", "kind", "matrix", "t", "index", "real", "imag", "log_value"]]

    def draw(self, tables: Tables) -> Figure:
        """Above the recurrent matrices by gate, below the Jacobians by step; a column for each configuration."""
        frame = self.data(tables)
        shown = [label for label in tables.configurations if (frame["configuration"] == label).any()]
        kinds = [kind for kind in ("recurrent_matrix", "jacobian") if (frame["kind"] == kind).any()]
        size = WIDTH_PER_PANEL if len(shown) > 3 else 2.4
        figure, axes = new_figure(len(kinds), len(shown), width=max(5.0, size * len(shown) + 0.8),
                                  height=(size + 0.75) * len(kinds))
        for row, kind in enumerate(kinds):
            own_kind = frame[frame["kind"] == kind]
            reach = 1.1 * max(1.05, float(np.nanquantile(np.hypot(own_kind["real"], own_kind["imag"]), 1.0)))
            for column, label in enumerate(shown):
                ax, own = axes[row, column], own_kind[own_kind["configuration"] == label]
                ax.add_patch(Circle((0, 0), 1, fill=False, edgecolor=FAINT, linewidth=1))
                groups = own.groupby("matrix" if kind == "recurrent_matrix" else "t", sort=True)
                shades = sns.color_palette("colorblind" if kind == "recurrent_matrix" else "viridis", groups.ngroups)
                for shade, (name, group) in zip(shades, groups, strict=True):
                    name = f"W$_{{h{name}}}$" if kind == "recurrent_matrix" and groups.ngroups > 1 else \
                        "W$_{hh}$" if kind == "recurrent_matrix" else f"J$_{{{name}}}$"
                    ax.scatter(group["real"], group["imag"], s=7, color=shade, linewidth=0, alpha=0.8, label=name)
                ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="Re λ")
                ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.24), fontsize=7, handletextpad=0, columnspacing=0.6,
                          ncols=4, markerscale=1.6, labelcolor=INK)
                if row == 0:
                    ax.set_title(wrapped(label, 20))
            axes[row, 0].set_ylabel("Im λ")
        return figure

    def caption(self, tables: Tables) -> str:
        """In words."""
        return ("Eigenvalues at the end of training, first seed: above of the recurrent weight matrices (of each gate), below of "
                "the step Jacobian J_t = ∂s_t/∂s_{t-1} of the full state at a few steps t; the circle has radius 1. Eigenvalues "
                "of W govern the long run of a linear cell; what a gradient meets at each step is J_t.")


WIDTH_PER_PANEL = 1.75
