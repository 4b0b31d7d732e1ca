"""The (t, k) map of Jacobian norms."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import AsinhNorm, CenteredNorm, Colormap, Normalize
from matplotlib.figure import Figure
from pydantic import Field

from gradscope.plots._axes import edges, finish, panel_grid, wrapped
from gradscope.plots._plot import Plot, register
from gradscope.plots._rows import ends_of_first_trials, present
from gradscope.plots._style import WIDTH, new_figure
from gradscope.results.tables import Tables

#: what is not defined, or exactly zero
_GREY = "#d9dce0"
#: nats from which on a linear scale would hide what is near 0
_STRETCHED = 6.0
#: inches of a panel, with its labels
_PANEL = 2.35


@register("jacobian_heatmap")
class JacobianHeatmap(Plot):
    """ln ||dh_t/dh_k|| (or of s) over the grid of (t, k) at the end of training."""

    block: Literal["state", "hidden"] = Field(
        "hidden",
        description=(
            "which norms are drawn: hidden is ||dh_t/dh_k||, of the output part h; "
            "state is ||ds_t/ds_k||, of all that the cell carries"
        ),
    )
    most: int = Field(
        12,
        ge=1,
        description=(
            "configurations drawn at most; of more, those spread evenly from best to worst"
        ),
    )
    scale: Literal["shared", "own"] = Field(
        "shared",
        description="of the colours; shared: one for all panels, which compares them; own: one "
        "for each, which shows what there is in it",
    )
    requires = ("jacobian_norms",)
    title = "Jacobian norms over (t, k)"
    over = "k"
    order = 30

    @property
    def _letter(self) -> str:
        return "h" if self.block == "hidden" else "s"

    def data(self, tables: Tables) -> pd.DataFrame:
        """Median over sequences at the evenly spread grid points, for each first trial."""
        frame = ends_of_first_trials(tables, "jacobian_norms", self.most)
        frame = frame[frame["block"] == self.block]
        # t is measured at the points of a grid, k at every step before it: both are drawn at these
        points = frame.groupby("trial")["t"].unique().to_dict()
        pairs = zip(frame["trial"], frame["k"], strict=True)
        on_grid = np.array([k == 0 or k in points[trial] for trial, k in pairs], dtype=bool)
        keys = ["configuration", "trial", "train_step", "t", "k"]
        medians = frame[on_grid].groupby(keys, sort=False)["log_spectral_norm"].median()
        return medians.reset_index()

    def draw(self, tables: Tables) -> Figure:
        """A panel for each configuration, with one colour scale, centred on 0."""
        frame = self.shown(tables)
        labels = present(frame, tables)
        rows, columns, labels = panel_grid(tables, labels)
        width = min(WIDTH, _PANEL * columns + 1.3)  # of square panels, so that few leave no gap
        height = _PANEL * rows + 0.6
        figure, axes = new_figure(
            rows, columns, width=width, height=height, sharex=True, sharey=True
        )
        colours = sns.color_palette("vlag_r", as_cmap=True)
        of_all = _scale(frame["log_spectral_norm"])
        for ax, label in zip(axes.flat, labels, strict=False):
            norms = frame[frame["configuration"] == label]
            shared = self.scale == "shared"
            scale = of_all if shared else _scale(norms["log_spectral_norm"])
            _draw_map(ax, norms, scale, colours)
            ax.set_title(wrapped(label))
            if not shared:
                _bar(figure, scale, colours, ax, shrink=0.65)
        finish(axes, len(labels), "k, earlier step", "t, later step")
        if self.scale == "shared":
            measure = f"ln ‖∂{self._letter}$_t$/∂{self._letter}$_k$‖ (nats)"
            _bar(figure, of_all, colours, axes, label=measure, shrink=0.9)
        return figure

    def caption(self, tables: Tables) -> str:
        """What the norm is of, and what white, red, blue and grey are."""
        words, reach = tables.words, _reach(self.shown(tables)["log_spectral_norm"])
        stretched = ""
        if reach > _STRETCHED:
            stretched = (
                " The colours are spread near white, so that a few nats are seen beside many."
            )
        if self.scale == "own":
            stretched += " Each panel has a scale of its own."
        return (
            f"Natural logarithm of the spectral norm of ∂{self._letter}_t/∂{self._letter}_k "
            f"{words.at_last}{words.shown_median}; t ≥ k, so the diagonal is lag 0. White is 1 "
            "(the gradient is kept), red less, blue more; grey is not defined (k > t) or exactly "
            f"zero.{stretched}"
        )


def _reach(norms: pd.Series) -> float:
    """The largest finite norm on either side of 0, at least a nat."""
    finite = norms[np.isfinite(norms)]
    return max(1.0, float(finite.abs().max()) if len(finite) else 1.0)


def _scale(norms: pd.Series) -> Normalize:
    """Colours centred on 0; of a long scale linear to one nat and logarithmic beyond."""
    reach = _reach(norms)
    if reach <= _STRETCHED:
        return CenteredNorm(0, reach)
    return AsinhNorm(1.0, -reach, reach)


def _bar(
    figure: Figure,
    scale: Normalize,
    colours: Colormap,
    ax: Axes | np.ndarray,
    label: str = "",
    shrink: float = 1.0,
) -> None:
    """A scale of colours beside a panel, or beside all of them."""
    mappable, ticks = ScalarMappable(scale, colours), None
    if isinstance(scale, AsinhNorm):
        steps = [step * 10**power for power in range(9) for step in (1, 3)]
        kept = [step for step in steps if step <= (scale.vmax or 0.0)][-3:]
        ticks = [*(-step for step in reversed(kept)), 0, *kept]
    figure.colorbar(
        mappable, ax=ax, label=label, shrink=shrink, ticks=ticks, format="{x:g}"
    ).minorticks_off()


def _draw_map(ax: Axes, norms: pd.DataFrame, norm: Normalize, colours: Colormap) -> None:
    """One map, t over k."""
    table = norms.pivot(index="t", columns="k", values="log_spectral_norm")
    ax.set_facecolor(_GREY)
    ax.pcolormesh(
        edges(table.columns.to_numpy(dtype=float)),
        edges(table.index.to_numpy(dtype=float)),
        np.ma.masked_invalid(table.to_numpy(dtype=float)),
        norm=norm,
        cmap=colours,
        rasterized=True,
    )
    ax.grid(False)
    ax.set_aspect("equal")
