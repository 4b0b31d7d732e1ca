"""Spectra in the complex plane."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from pydantic import Field

from gradscope.plots._plot import (
    FAINT,
    INK,
    Plot,
    finish,
    first_trials,
    new_figure,
    panels,
    register,
    wrapped,
)
from gradscope.results.tables import Tables

GATES = dict(zip("hifgorzn", sns.color_palette("colorblind", 8), strict=True))


@register("eigenvalues")
class Eigenvalues(Plot):
    """Eigenvalues of the recurrent matrices and of step Jacobians in the complex plane, with the
    unit circle.
    """

    most: int = Field(12, ge=1, description="configurations shown at most")
    requires = ("spectra",)
    title = "Eigenvalues in the complex plane"
    order: ClassVar[int] = 60

    def data(self, tables: Tables) -> pd.DataFrame:
        """Eigenvalues of each configuration's first trial at its end."""
        frame = tables.first_and_last("spectra")
        shown = dict(first_trials(tables, "spectra", self.most))
        frame = frame[
            frame["trial"].isin(shown.values())
            & frame["kind"].isin(["recurrent_matrix", "jacobian"])
        ]
        ends = frame.groupby("trial")["train_step"].transform("max")
        return frame[frame["train_step"] == ends][
            [
                "configuration",
                "trial",
                "train_step",
                "kind",
                "matrix",
                "t",
                "index",
                "real",
                "imag",
                "log_value",
            ]
        ]

    def draw(self, tables: Tables) -> Figure:
        """Above the recurrent matrices by gate, below the Jacobians by step; a panel for each
        configuration.
        """
        frame = self.data(tables)
        shown = [
            label for label in tables.configurations if (frame["configuration"] == label).any()
        ]
        kinds = [kind for kind in ("recurrent_matrix", "jacobian") if (frame["kind"] == kind).any()]
        rows, columns = panels(len(shown))
        figure, axes = new_figure(rows * len(kinds), columns, height=2.45 * rows * len(kinds) + 0.5)
        handles: dict[str, Line2D] = {}
        for block, kind in enumerate(kinds):
            own = frame[frame["kind"] == kind]
            part = axes[block * rows : (block + 1) * rows]
            for ax, label in zip(part.flat, shown, strict=False):
                ax.add_patch(Circle((0, 0), 1, fill=False, edgecolor=FAINT, linewidth=1))
                mine = own[own["configuration"] == label]
                handles |= _scatter(ax, mine, kind)
                reach = 1.1 * max(1.05, float(np.hypot(mine["real"], mine["imag"]).max()))
                ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
                ax.set_title(
                    wrapped(label) + ("\n$W$" if kind == "recurrent_matrix" else "\n$J_t$")
                )
            finish(part, len(shown), "Re λ", "Im λ")
        figure.legend(
            list(handles.values()),
            list(handles),
            loc="outside lower center",
            ncols=min(len(handles), 8),
        )
        return figure

    def caption(self, tables: Tables) -> str:
        """In words."""
        return (
            "Eigenvalues at the end of training, first seed: above of the recurrent weight matrices"
            " (of each gate), below of the step Jacobian J_t = ∂s_t/∂s_{t-1} of the full state at a"
            " few steps t; the circle has radius 1, and every panel its own scale. Eigenvalues of W"
            " govern the long run of a linear cell; what a gradient meets at each step is J_t."
        )


def _scatter(ax: Axes, frame: pd.DataFrame, kind: str) -> dict[str, Line2D]:
    """The points of one panel, and the legend's handles for them: gates by colour, steps by shade."""
    handles: dict[str, Line2D] = {}
    groups = frame.groupby("matrix" if kind == "recurrent_matrix" else "t", sort=True)
    shades = sns.color_palette("viridis", max(groups.ngroups, 2))
    for place, (name, group) in enumerate(groups):
        if kind == "recurrent_matrix":
            gate = str(name).split("_")[0]
            colour, text = GATES.get(gate, INK), f"$W_{{h{gate}}}$" if gate != "h" else "$W_{hh}$"
        else:
            colour, text = shades[place], f"$J_{{{name}}}$"
        ax.scatter(group["real"], group["imag"], s=6, color=colour, linewidth=0, alpha=0.75)
        handles[text] = Line2D([], [], color=colour, marker="o", linestyle="", markersize=5)
    return handles
