"""What all figures share in looks, and how they are saved."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from itertools import pairwise
from typing import Literal

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from gradscope.plots._fonts import fonts, unknown_signs

Share = bool | Literal["none", "all", "row", "col"]

#: inches of a full figure
WIDTH = 9.0
#: inches of one column of a paper
COLUMN = 3.4
#: text in a column, relative to that of a full figure
_SMALLER = 0.68
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
    "font.family": fonts(),
}


PAPER = {
    **STYLE,
    **sns.plotting_context("paper", font_scale=0.78),
    "axes.titlesize": 7,
    "grid.linewidth": 0.4,
    "lines.linewidth": 1.0,
    "lines.markersize": 3,
    "pdf.fonttype": 42,
}
#: whether figures are drawn one column of a paper wide
_IN_A_COLUMN: ContextVar[bool] = ContextVar("in a column", default=False)


def styled() -> AbstractContextManager[None]:
    """The context in which figures are made and saved."""
    style = PAPER if _IN_A_COLUMN.get() else STYLE
    return mpl.rc_context(style)  # pyright: ignore[reportArgumentType]  # a dict of str is enough


@contextmanager
def column() -> Iterator[None]:
    """The context in which figures are drawn one column of a paper wide."""
    token = _IN_A_COLUMN.set(True)
    try:
        yield
    finally:
        _IN_A_COLUMN.reset(token)


def characters() -> int:
    """How many characters of a legend fit beside each other."""
    return round(110 * COLUMN / WIDTH / _SMALLER) if _IN_A_COLUMN.get() else 110


def points(size: float) -> float:
    """A width or a size of a full figure, in points, as it is drawn here."""
    return size * _SMALLER if _IN_A_COLUMN.get() else size


def side_by_side(most: int) -> int:
    """How many small panels stand beside each other, where there is room for ``most``."""
    return min(most, 2) if _IN_A_COLUMN.get() else most


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
    sharex: Share = False,
    sharey: Share = False,
) -> tuple[Figure, np.ndarray]:
    """A figure with a grid of axes, outside pyplot's global state; draw inside ``styled()``."""
    layout = ConstrainedLayoutEngine(h_pad=0.06, hspace=0.06)
    if _IN_A_COLUMN.get():
        return _stacked(rows, columns, height, layout, sharex=sharex, sharey=sharey)
    figure = NotebookFigure(figsize=(width, height), layout=layout)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=sharex, sharey=sharey)
    return figure, np.atleast_2d(axes)


def _stacked(
    rows: int,
    columns: int,
    height: float,
    layout: ConstrainedLayoutEngine,
    *,
    sharex: Share,
    sharey: Share,
) -> tuple[Figure, np.ndarray]:
    """The same grid one column wide; panels that stood beside each other in one row are stacked."""
    high = _SMALLER * height
    if rows > 1 or columns == 1:
        figure = NotebookFigure(figsize=(COLUMN, high), layout=layout)
        return figure, figure.subplots(rows, columns, squeeze=False, sharex=sharex, sharey=sharey)
    figure = NotebookFigure(figsize=(COLUMN, 0.85 * high * columns), layout=layout)
    axes = figure.subplots(columns, 1, squeeze=False, sharex=sharex, sharey=sharey)
    return figure, axes.T


def labelled_again(figure: Figure) -> None:
    """Give panels that were stacked the vertical axis' label of the one at the top.

    A label that the panel below repeats is left out.
    """
    places = {ax: spec for ax in figure.axes if (spec := ax.get_subplotspec()) is not None}
    panels, grid = list(places), {spec.get_gridspec().get_geometry() for spec in places.values()}
    if not _IN_A_COLUMN.get() or grid != {(len(panels), 1)}:
        return
    for above, ax in pairwise(panels):
        if not ax.get_ylabel():
            ax.set_ylabel(above.get_ylabel())
            ax.tick_params(labelleft=True)
        if ax.get_xlabel() == above.get_xlabel():
            above.set_xlabel("")


def settled(figure: Figure) -> None:
    """Lay a figure out once and for all, so that each file of it need not do so again."""
    with styled(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        if layout := figure.get_layout_engine():
            layout.execute(figure)
        figure.set_layout_engine("none")


#: what a file would say of when it was made
_DATES = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": None}


def rendered(figure: Figure, format: Literal["svg", "png", "pdf"]) -> bytes:
    """The figure as a file's content, the same each time.

    Signs of which no font is installed here are empty boxes, but for an SVG: its text is then left
    to the fonts of who looks at it.
    """
    content, unknown = io.BytesIO(), unknown_signs(figure)
    kept = "none" if unknown and format == "svg" else "path"
    with styled(), mpl.rc_context({"svg.fonttype": kept}), warnings.catch_warnings():
        if unknown:
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
        if isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
            figure.savefig(content, format=format, metadata=_DATES[format])
        else:
            _print(figure, format, content)
    return content.getvalue()


def _print(figure: Figure, format: Literal["svg", "png", "pdf"], content: io.BytesIO) -> None:
    """What ``savefig`` does of a figure that is laid out, but for drawing it twice."""
    kept = figure.get_dpi(), figure.canvas
    figure.set_dpi(mpl.rcParams["savefig.dpi"])  # of what an SVG or a PDF holds as an image too
    try:
        if format == "svg":
            FigureCanvasSVG(figure).print_svg(content, metadata=_DATES[format])
        elif format == "pdf":
            FigureCanvasPdf(figure).print_pdf(content, metadata=_DATES[format])
        else:
            FigureCanvasAgg(figure).print_png(content)
    finally:
        figure.set_dpi(kept[0])
        figure.set_canvas(kept[1])
