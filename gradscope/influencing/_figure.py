"""The figure of influences: norm against lag, so that the law of decay is seen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import ScalarFormatter

from gradscope.dynamics import InfluenceProfile
from gradscope.errors import NothingToDrawError
from gradscope.plots._axes import legend_below, plain
from gradscope.plots._lines import reference
from gradscope.plots._looks import REFERENCE
from gradscope.plots._style import FAINT, NotebookFigure, labelled_again, new_figure, points, styled

#: profiles that have a colour of their own; of more, as of many layers, colours run from first to
#: last
_COLOURS = 8
_MARKERS = "os^DvPX<"
#: points of a line that are marked
_MARKED = 8


def drawn(profiles: Mapping[str, InfluenceProfile]) -> Figure:
    """Norm against lag, left on a linear and right on a logarithmic axis of lags.

    Args:
        profiles: by name; a single one may be without.

    Raises:
        NothingToDrawError: where all of them are exactly zero.
    """
    if not any(np.isfinite(profile.log_norms).any() for profile in profiles.values()):
        raise NothingToDrawError("the influence is exactly zero at all lags: there is no line")
    many = len(profiles) > _COLOURS
    palette = sns.color_palette("viridis" if many else "colorblind", len(profiles))
    with styled():
        figure, axes = new_figure(1, 2, height=4.0, sharey=True)
        straight, logarithmic = axes[0]
        for place, (profile, colour) in enumerate(zip(profiles.values(), palette, strict=True)):
            marker = "" if many else _MARKERS[place % len(_MARKERS)]
            _line(straight, profile, colour, marker, least=int(profile.lags[0]))
            _line(logarithmic, profile, colour, marker, least=1)
        straight.set(xlabel="lag s − t (steps)", ylabel="ln ‖∂out$_s$/∂x$_t$‖ (nats)")
        straight.set_title("a straight line is an exponential law")
        logarithmic.set(xlabel="lag s − t (steps)", xscale="log")
        logarithmic.set_title("a straight line is a power law")
        logarithmic.xaxis.set_major_formatter(ScalarFormatter())
        if min(int(profile.lags[0]) for profile in profiles.values()) < 0:
            reference(straight, x=0)
        handles = {
            plain(name): Line2D([], [], color=colour, marker="" if many else _MARKERS[place % 8])
            for place, (name, colour) in enumerate(zip(profiles, palette, strict=True))
            if name
        }
        handles["law of decay"] = Line2D([], [], color=FAINT, linestyle=REFERENCE)
        legend_below(figure, handles)
        labelled_again(figure)
    if isinstance(figure, NotebookFigure):
        figure.description = f"Influence by lag. {caption(profiles)}"
    return figure


def _line(
    axes: Axes,
    profile: InfluenceProfile,
    colour: tuple[float, float, float],
    marker: str,
    *,
    least: int,
) -> None:
    """One profile with its standard error, and the law that explains it best."""
    shown = (profile.lags >= least) & np.isfinite(profile.log_norms)
    lags, norms = profile.lags[shown], profile.log_norms[shown]
    errors = np.nan_to_num(profile.standard_errors[shown])
    axes.plot(
        lags,
        norms,
        color=colour,
        linewidth=points(1.5),
        marker=marker,
        markersize=points(4),
        markevery=max(1, len(lags) // _MARKED),
    )
    axes.fill_between(lags, norms - errors, norms + errors, color=colour, alpha=0.2, linewidth=0)
    if profile.decay is not None and profile.longest > 1:
        x = np.unique(np.geomspace(1, profile.longest, 60))
        axes.plot(x, profile.decay.at(x), color=colour, linestyle=REFERENCE, linewidth=1.2)


def caption(profiles: Mapping[str, InfluenceProfile]) -> str:
    """What is drawn, and how certain it is."""
    first = next(iter(profiles.values()))
    return (
        "Natural logarithm of the root mean square norm of the derivative of an output with "
        "respect to an input lag steps before it, over positions, examples and cotangents; "
        f"the band is one standard error, over {first.units}. Left, a straight line is an "
        "exponential law of decay, right a power law. Dotted: the law that explains the lags from "
        "1 on best. Lags that are exactly zero are left out."
    )
