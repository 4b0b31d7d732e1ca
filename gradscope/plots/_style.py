"""What all figures share in looks, and how they are saved."""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from typing import Literal

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

#: inches of a full figure
WIDTH = 9.0
INK, FAINT = "#22272e", "#8a939e"

STYLE = {
    **sns.axes_style("ticks"),
    **sns.plotting_context("notebook", font_scale=0.85),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "grid.color": "#e6e8eb",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.dpi": 100,
    "savefig.dpi": 150,
    "svg.hashsalt": "gradscope",
    "font.family": "DejaVu Sans",
}


def styled() -> AbstractContextManager[None]:
    """The context in which figures are made and saved."""
    return mpl.rc_context(STYLE)  # pyright: ignore[reportArgumentType]  # a dict of str is enough


class NotebookFigure(Figure):
    """A figure that a notebook shows once, whether pyplot was imported there or not.

    pyplot does not hold it, so it needs no closing.

    Attributes:
        description: what it shows, for who cannot see it.
    """

    description = ""

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, object], dict[str, object]]:
        """The image, its width on a page, and what it shows."""
        about = {"width": round(100 * self.get_size_inches()[0]), "alt": self.description}
        content = {"image/png": rendered(self, "png"), "text/plain": self.description or repr(self)}
        return content, {"image/png": about}


def new_figure(
    rows: int,
    columns: int,
    *,
    width: float = WIDTH,
    height: float,
    sharex: bool | Literal["none", "all", "row", "col"] = False,
    sharey: bool | Literal["none", "all", "row", "col"] = False,
) -> tuple[Figure, np.ndarray]:
    """A figure with a grid of axes, outside pyplot's global state; draw inside ``styled()``."""
    layout = ConstrainedLayoutEngine(h_pad=0.06, hspace=0.06)
    figure = NotebookFigure(figsize=(width, height), layout=layout)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=sharex, sharey=sharey)
    return figure, np.atleast_2d(axes)


def settled(figure: Figure) -> None:
    """Lay a figure out once and for all, so that each file of it need not do so again."""
    with styled():
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


def rendered(figure: Figure, format: Literal["svg", "png"]) -> bytes:
    """The figure as a file's content, the same each time."""
    content = io.BytesIO()
    with styled():
        figure.savefig(content, format=format, metadata={"Date": None} if format == "svg" else None)
    return content.getvalue()
