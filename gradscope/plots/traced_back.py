"""One loss traced back through the sequence."""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal

import pandas as pd
from matplotlib.figure import Figure
from pydantic import Field

from gradscope.plots._lines import lines_by_moment
from gradscope.plots._plot import Plot, register
from gradscope.plots._rows import MEASURED
from gradscope.results.tables import Tables
from gradscope.results.words import Words


@register("traced_back")
class TracedBackPlot(Plot):
    """ln ||dl_T/dx_t|| (or of s_t) of the last loss alone against lag."""

    of: Literal["input", "state"] = Field(
        "input",
        description=(
            "what the last loss is derived by: input is x_t, what the first layer "
            "reads; state is s_t, all that the cell carries"
        ),
    )
    requires = ("traced_back",)
    title = "One loss traced back"
    over = "lag"
    order = 22
    scope_options = MappingProxyType({"of": "state"})

    def data(self, tables: Tables) -> pd.DataFrame:
        """Log norms by trial, sequence and lag, at the greatest length."""
        frame = tables.at_longest(tables.first_and_last("traced_back"))
        return frame[[*MEASURED, "sequence", "lag", "symbol", "state", "input"]]

    def draw(self, tables: Tables) -> Figure:
        """A panel for the first and for the last measurement, on one scale."""
        letter = "x" if self.of == "input" else "s"
        return lines_by_moment(
            self.shown(tables),
            tables,
            x="lag",
            y=self.of,
            xlabel="lag (steps back from the answer)",
            ylabel=f"ln ‖∂l$_T$/∂{letter}$_{{T-lag}}$‖ (nats)",
            zero=True,
        )

    def caption(self, tables: Tables) -> str:
        """Which loss is followed back, to where, and what a fall by ten nats means."""
        return (
            f"{self._question(tables.words)}, as the natural logarithm of the gradient's norm: "
            f"{tables.words.spread_of_batch}. Where it has fallen by some ten nats, no update "
            "will teach the network to look."
        )

    def _question(self, words: Words) -> str:
        """What is measured.

        Within one model a recurrence hears the loss in other ways as well, which are left out.
        """
        if words.of_sweep:
            return (
                f"How strongly the loss of the last answer alone depends on the {self.of} so many "
                "steps before it"
            )
        return (
            "What arrives from the loss at the last step of a recurrence that hears it, followed "
            f"back along that recurrence alone to the {self.of} so many steps before (other ways, "
            "by the layer above, attention or losses at earlier steps, are left out)"
        )
