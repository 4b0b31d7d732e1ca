"""Gates opening and closing along a sequence."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from gradscope.plots._axes import edges, wrapped
from gradscope.plots._plot import Plot, register
from gradscope.plots._rows import late, of_first_trials, present
from gradscope.plots._style import new_figure
from gradscope.results.tables import Tables
from gradscope.results.words import sentence

#: rows of panels at most
_ROWS = 6


@register("gates")
class GatesPlot(Plot):
    """Every gate's units over the steps of one sequence, at the end of training."""

    requires = ("gates",)
    title = "Gates along a sequence"
    over = "t"
    order = 78
    face = 3

    def data(self, tables: Tables) -> pd.DataFrame:
        """The first seed of each configuration at its last measurement."""
        frame = of_first_trials(late(tables, "gates"), tables)
        return frame[["configuration", "trial", "gate", "unit", "t", "value", "symbol"]]

    def draw(self, tables: Tables) -> Figure:
        """A row for each configuration, a column for each gate."""
        frame = self.shown(tables)
        labels = present(frame, tables, _ROWS)
        rows = [frame[frame["configuration"] == label] for label in labels]
        columns = max(row["gate"].nunique() for row in rows)
        figure, axes = new_figure(len(labels), columns, height=0.9 + 1.45 * len(labels))
        for axes_row, row, label in zip(axes, rows, labels, strict=True):
            gates = list(row.groupby("gate", sort=False))
            for ax in axes_row[len(gates) :]:
                ax.set_visible(False)
            for ax, (gate, values) in zip(axes_row, gates, strict=False):
                _draw_gate(ax, str(gate), values)
            axes_row[0].set_ylabel(wrapped(label, 16), fontsize="small")
        for ax in axes[-1]:
            ax.set_xlabel("step t")
        scale = ScalarMappable(Normalize(0, 1), "viridis")
        bar = figure.colorbar(scale, ax=axes, orientation="vertical", fraction=0.03, pad=0.01)
        bar.set_label("value of a gate")
        return figure

    def caption(self, tables: Tables) -> str:
        """What rows, columns and colours are, and how to read them."""
        shown = sentence(f"shown is {tables.words.shown_of_each} at its last measurement")
        return (
            "Each row of a panel is a unit, each column a step of one sequence, bright where the "
            "gate is open; the units that are open most lie on top. A forget gate that stays "
            "bright carries its cell across the steps, an input gate that lights up once lets one "
            "input in. Candidates, which take either sign, run from blue (−1) to red (1). "
            f"{shown}"
        )


def _draw_gate(ax: Axes, gate: str, values: pd.DataFrame) -> None:
    """Units by steps, those that open most on average on top."""
    table = values.pivot(index="unit", columns="t", values="value")
    table = table.loc[table.mean(axis=1).sort_values(ascending=False).index]
    signed = bool(table.to_numpy().min() < -1e-9)
    ax.pcolormesh(
        edges(table.columns.to_numpy(dtype=float)),
        edges(pd.RangeIndex(len(table)).to_numpy(dtype=float)),
        table.to_numpy(),
        cmap="RdBu_r" if signed else "viridis",
        vmin=-1 if signed else 0,
        vmax=1,
        rasterized=True,
    )
    ax.set_title(f"gate {gate}" + (" (−1 to 1)" if signed else ""), fontsize="small")
    ax.set_yticks([])
    ax.invert_yaxis()
    ax.grid(visible=False)
