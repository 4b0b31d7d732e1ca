"""Spectra in the complex plane."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from pydantic import Field

from gradscope.plots._axes import finish, legend_below, panels, wrapped
from gradscope.plots._plot import Plot, register
from gradscope.plots._rows import ends_of_first_trials, present
from gradscope.plots._style import FAINT, INK, new_figure
from gradscope.results.tables import Tables

#: a gate's letter in torch's names of weights to its colour
GATES = dict(zip("hifgorzn", sns.color_palette("colorblind", 8), strict=True))
#: kind of matrix to its sign in a heading
_KINDS = {"recurrent_matrix": "$W$", "jacobian": "$J_t$"}


@register("eigenvalues")
class Eigenvalues(Plot):
    """Eigenvalues of recurrent matrices and step Jacobians in the complex plane."""

    most: int = Field(
        12,
        ge=1,
        description=(
            "configurations drawn at most; of more, those spread evenly from best to worst"
        ),
    )
    requires = ("spectra",)
    title = "Eigenvalues in the complex plane"
    over = "real"
    order = 60

    def data(self, tables: Tables) -> pd.DataFrame:
        """Eigenvalues of each configuration's first trial at its end."""
        frame = ends_of_first_trials(tables, "spectra", self.most)
        about = ["configuration", "trial", "train_step", "kind", "matrix", "t", "index"]
        return frame[frame["kind"].isin(list(_KINDS))][[*about, "real", "imag", "log_value"]]

    def draw(self, tables: Tables) -> Figure:
        """Above the recurrent matrices, below the Jacobians; a panel for each configuration."""
        frame = self.shown(tables)
        labels = present(frame, tables)
        kinds = [kind for kind in _KINDS if (frame["kind"] == kind).any()]
        rows, columns = panels(len(labels))
        figure, axes = new_figure(rows * len(kinds), columns, height=2.45 * rows * len(kinds) + 0.5)
        handles: dict[str, Line2D] = {}
        for block, kind in enumerate(kinds):
            grid = axes[block * rows : (block + 1) * rows]
            for ax, label in zip(grid.flat, labels, strict=False):
                chosen = (frame["kind"] == kind) & (frame["configuration"] == label)
                handles |= _draw_plane(ax, frame[chosen], kind)
                ax.set_title(f"{wrapped(label)}\n{_KINDS[kind]}")
            finish(grid, len(labels), "Re λ", "Im λ")
        legend_below(figure, handles)
        return figure

    def caption(self, tables: Tables) -> str:
        """Which matrices are above and below, and what each kind governs."""
        words = tables.words
        return (
            f"Eigenvalues {words.at_last}{words.shown}: above of the recurrent weight matrices (of "
            "each gate), below of the step Jacobian J_t = ∂s_t/∂s_{t-1} of the full state at a few "
            "steps t; the circle has radius 1, and every panel its own scale. Eigenvalues of W "
            "govern the long run of a linear cell; what a gradient meets at each step is J_t."
        )


def _draw_plane(ax: Axes, values: pd.DataFrame, kind: str) -> dict[str, Line2D]:
    """The points of one panel around the unit circle, and the legend's handles for them."""
    ax.add_patch(Circle((0, 0), 1, fill=False, edgecolor=FAINT, linewidth=1))
    handles = _scatter(ax, values, kind)
    reach = 1.1 * max(1.05, float(np.hypot(values["real"], values["imag"]).max()))
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    return handles


def _scatter(ax: Axes, values: pd.DataFrame, kind: str) -> dict[str, Line2D]:
    """The points and the legend's handles for them: gates by colour, steps by shade."""
    handles: dict[str, Line2D] = {}
    groups = values.groupby("matrix" if kind == "recurrent_matrix" else "t", sort=True)
    shades = sns.color_palette("viridis", max(groups.ngroups, 2))
    for place, (name, group) in enumerate(groups):
        if kind == "recurrent_matrix":
            gate = str(name).split("_")[0]
            colour = GATES.get(gate, INK)
            text = f"$W_{{h{gate}}}$" if gate != "h" else "$W_{hh}$"
        else:
            colour, text = shades[place], f"$J_{{{name}}}$"
        ax.scatter(group["real"], group["imag"], s=6, color=colour, linewidth=0, alpha=0.75)
        handles[text] = Line2D([], [], color=colour, marker="o", linestyle="", markersize=5)
    return handles
