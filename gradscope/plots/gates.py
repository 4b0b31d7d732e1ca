"""Gates opening and closing along a sequence."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from gradscope.plots._plot import Plot, edges, new_figure, register, wrapped
from gradscope.results.tables import Tables

#: rows of panels at most
_ROWS = 6


@register("gates")
class GatesPlot(Plot):
    """Every gate's units over the steps of one sequence, at the end of training."""

    requires = ("gates",)
    title = "Gates along a sequence"
    order: ClassVar[int] = 78

    def data(self, tables: Tables) -> pd.DataFrame:
        """The first seed of each configuration at its last measurement."""
        frame = tables.at_longest(tables.first_and_last("gates"))
        late = frame[frame["when"] == tables.moments[1]]
        frame = late if len(late) else frame
        chosen = (
            frame.sort_values("seed", kind="stable")
            .groupby("configuration", sort=False)["trial"]
            .first()
        )
        return frame[frame["trial"].isin(chosen)][
            ["configuration", "trial", "gate", "unit", "t", "value", "symbol"]
        ]

    def draw(self, tables: Tables) -> Figure:
        """A row for each configuration, a column for each gate; units that open most on average lie
        on top.
        """
        frame = self.data(tables)
        labels = [
            label for label in tables.configurations if (frame["configuration"] == label).any()
        ][:_ROWS]
        gates = {
            label: list(dict.fromkeys(frame.loc[frame["configuration"] == label, "gate"]))
            for label in labels
        }
        columns = max(len(own) for own in gates.values())
        figure, axes = new_figure(
            len(labels), columns, height=0.9 + 1.45 * len(labels), sharex=False
        )
        for row, label in enumerate(labels):
            own = frame[frame["configuration"] == label]
            for column in range(columns):
                ax = axes[row, column]
                if column >= len(gates[label]):
                    ax.set_visible(False)
                    continue
                gate = gates[label][column]
                table = own[own["gate"] == gate].pivot(index="unit", columns="t", values="value")
                table = table.loc[table.mean(axis=1).sort_values(ascending=False).index]
                low = -1 if table.to_numpy().min() < -1e-9 else 0
                ax.pcolormesh(
                    edges(table.columns.to_numpy(dtype=float)),
                    edges(pd.RangeIndex(len(table)).to_numpy(dtype=float)),
                    table.to_numpy(),
                    cmap="RdBu_r" if low else "viridis",
                    vmin=low,
                    vmax=1,
                    rasterized=True,
                )
                ax.set_title(f"gate {gate}" + (" (−1 to 1)" if low else ""), fontsize=9)
                ax.set_yticks([])
                ax.invert_yaxis()
                ax.grid(visible=False)
                if column == 0:
                    ax.set_ylabel(wrapped(label, 16), fontsize=8)
                if row == len(labels) - 1:
                    ax.set_xlabel("step t")
        shown = ScalarMappable(Normalize(0, 1), "viridis")
        figure.colorbar(shown, ax=axes, orientation="vertical", fraction=0.03, pad=0.01).set_label(
            "value of a gate"
        )
        return figure

    def caption(self, tables: Tables) -> str:
        """In words."""
        return (
            "Each row of a panel is a unit, each column a step of one sequence, bright where the"
            " gate is open; the units that are open most lie on top. A forget gate that stays"
            " bright carries its cell across the steps, an input gate that lights up once lets one"
            " input in. Candidates, which take either sign, run from blue (−1) to red (1). First"
            " seed of each configuration, last measurement."
        )
