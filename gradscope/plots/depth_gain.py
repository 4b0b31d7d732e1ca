"""Gains of Jacobians to the last layer, and how much of them is the identity."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from gradscope.plots._axes import foot
from gradscope.plots._lines import lines, reference
from gradscope.plots._looks import legend
from gradscope.plots._plot import Plot, register
from gradscope.plots._rows import MEASURED, late
from gradscope.plots._style import new_figure
from gradscope.results.tables import Tables


@register("depth_gain")
class DepthGainPlot(Plot):
    """ln of the gain of dx_L/dx_l over l, and how much of it is the identity, at the end."""

    requires = ("depth_gain",)
    title = "Gain and identity along depth"
    over = "layer"
    order = 55

    def data(self, tables: Tables) -> pd.DataFrame:
        """Both kinds of Jacobian by trial, layer and sequence, with standard errors."""
        frame = late(tables, "depth_gain")
        columns = ["log_gain", "log_gain_error", "identity_share", "identity_share_error"]
        return frame[[*MEASURED, "kind", "layer", "sequence", *columns, "log_rest"]]

    def draw(self, tables: Tables) -> Figure:
        """Left the gain to the last layer, right the share of the identity in it."""
        frame = self.shown(tables)
        frame = frame[frame["kind"] == "to_last"]
        figure, axes = new_figure(1, 2, height=3.6)
        left, right = axes[0]
        lines(left, frame, tables, x="layer", y="log_gain", floor=foot(frame["log_gain"]))
        reference(left, y=0)
        left.set(xlabel="layer l", ylabel="ln gain of ∂x$_L$/∂x$_l$ (nats)", title="gain")
        lines(right, frame, tables, x="layer", y="identity_share")
        right.set(
            xlabel="layer l", ylabel="share of the identity", title="identity", ylim=(-0.03, 1.03)
        )
        legend(figure, tables, frame["configuration"])
        return figure

    def caption(self, tables: Tables) -> str:
        """What a gain and a share are, how to read them, and how sure they are."""
        words = tables.words
        return (
            "Left: natural logarithm of ‖J‖$_F$/√d for J = ∂x$_L$/∂x$_l$, by how much a gradient "
            "of random direction grows on its way back from the last layer to layer l (steps, "
            "where there are no layers but those of time). Right: tr(J)²/(d ‖J‖$_F$²), the share "
            "of J that is a multiple of the identity, as a skip path gives it: 1 where nothing but "
            "that acts. "
            "Estimated with random vectors; the table has the standard errors. "
            f"Of {words.last}; {words.spread}."
        )
