"""The figure of influences: norm against lag, so that the law of decay is seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FormatStrFormatter

from gradscope.dynamics import InfluenceProfile
from gradscope.errors import NothingToDrawError
from gradscope.plots._axes import legend_below, plain
from gradscope.plots._lines import reference
from gradscope.plots._looks import REFERENCE, Colour
from gradscope.plots._style import FAINT, NotebookFigure, labelled_again, new_figure, points, styled

#: of as many profiles each has a marker of its own
_MARKERS = "os^DvPX<"
#: points of a line that are marked
_MARKED = 8


class _Drawn(NamedTuple):
    """A profile, and how it is drawn."""

    name: str
    profile: InfluenceProfile
    colour: Colour
    marker: str


def drawn(profiles: Mapping[str, InfluenceProfile]) -> Figure:
    """Norm against lag, left on a linear and right on a logarithmic axis of lags.

    Args:
        profiles: by name; a single one may be without.

    Raises:
        NothingToDrawError: where all of them are exactly zero.
    """
    if not any(np.isfinite(profile.log_norms).any() for profile in profiles.values()):
        raise NothingToDrawError("the influence is exactly zero at all lags: there is no line")
    lines = _looks(profiles)
    with styled():
        figure, axes = new_figure(1, 2, height=4.0, sharey=True)
        straight, logarithmic = axes[0]
        logarithmic.set_xscale("log")
        for line in lines:
            _draw(straight, line, least=int(line.profile.lags[0]))
            _draw(logarithmic, line, least=1)
        if min(int(profile.lags[0]) for profile in profiles.values()) < 0:
            reference(straight, x=0)
        straight.set_ylabel("ln ‖∂out$_s$/∂x$_t$‖ (nats)")
        straight.set_title("a straight line is an exponential law")
        logarithmic.set_title("a straight line is a power law")
        logarithmic.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        for ax in (straight, logarithmic):
            ax.set_xlabel("lag s − t (steps)")
        if handles := _handles(lines):
            legend_below(figure, handles)
        labelled_again(figure)
    if isinstance(figure, NotebookFigure):
        figure.description = f"Influence by lag. {caption(profiles)}"
    return figure


def _looks(profiles: Mapping[str, InfluenceProfile]) -> list[_Drawn]:
    """A colour and a marker for each; of many, as of layers, colours from first to last."""
    many = len(profiles) > len(_MARKERS)
    palette = sns.color_palette("viridis" if many else "colorblind", len(profiles))
    markers = " " * len(profiles) if many else _MARKERS
    looks = zip(profiles.items(), palette, markers, strict=False)
    return [_Drawn(name, profile, colour, mark.strip()) for (name, profile), colour, mark in looks]


def _handles(lines: Sequence[_Drawn]) -> dict[str, Line2D]:
    """What the legend names."""
    handles = {
        plain(line.name): Line2D([], [], color=line.colour, marker=line.marker)
        for line in lines
        if line.name
    }
    if any(line.profile.decay is not None for line in lines):
        handles["law of decay"] = Line2D([], [], color=FAINT, linestyle=REFERENCE)
    return handles


def _draw(axes: Axes, line: _Drawn, *, least: int) -> None:
    """One profile from a lag on with its standard error, and the law that explains it best."""
    profile = line.profile
    there = (profile.lags >= least) & np.isfinite(profile.log_norms)
    norms, errors = profile.log_norms, np.nan_to_num(profile.standard_errors)
    # lags that not all outputs have are paler
    for shown, alpha in ((there & (profile.lags <= profile.longest), 1.0), (there, 0.35)):
        lags = profile.lags[shown]
        axes.plot(
            lags,
            norms[shown],
            color=line.colour,
            alpha=alpha,
            linewidth=points(1.5),
            marker=line.marker if alpha == 1 else "",
            markersize=points(4),
            markevery=max(1, len(lags) // _MARKED),
        )
    low, high = (norms + sign * errors for sign in (-1, 1))
    axes.fill_between(
        profile.lags[there], low[there], high[there], color=line.colour, alpha=0.2, linewidth=0
    )
    if profile.decay is not None and profile.longest > 1:
        x = np.geomspace(1, profile.longest, 60)
        axes.plot(x, profile.decay.at(x), color=line.colour, linestyle=REFERENCE, linewidth=1.2)


def caption(profiles: Mapping[str, InfluenceProfile]) -> str:
    """What is drawn, and how certain it is."""
    first = next(iter(profiles.values()))
    return (
        "Natural logarithm of the root mean square norm of the derivative of an output with "
        "respect to an input lag steps before it, over positions, examples and cotangents; "
        f"the band is one standard error, over {first.units}. Left, a straight line is an "
        "exponential law of decay, right a power law. Dotted: the law that explains the lags from "
        "1 on best. Paler: lags that not all outputs have. Lags that are exactly zero are left out."
    )
