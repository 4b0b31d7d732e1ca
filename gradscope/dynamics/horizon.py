"""The memory horizon: how far back a gradient reaches, from its log norms by lag."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from gradscope.dynamics.decay import DecayFit, fits_of, horizon_intervals, rounding
from gradscope.dynamics.outliers import explained, jumps
from gradscope.dynamics.wandering import Mixture, end_to_end, slopes
from gradscope.errors import UnusableSeriesError

Kind = Literal["reached", "extrapolated", "no fall", "finite support"]
_Array = NDArray[np.float64]
_Found = TypeVar("_Found")
#: slope of ln norm against lag, its interval, and the chance that it is not below 0
_Slope: TypeAlias = tuple[float, tuple[float, float], float]

#: ln of the least normal float32: norms that sink below it lose their digits, and stick
_LEAST_NORMAL = float(np.log(np.finfo(np.float32).tiny))
#: a fall over all lags within this is rounding, nats
_ROUNDING = 1e-6
#: up to so many points are few: they all count for the rate, and a fall at each is significant
_FEW = 8
#: chance of no fall below which a fall is significant: half of the 5% outside a 95% interval, and
#: that half again, as three lines are tried that have much in common
_SIGNIFICANT = 0.0125


@dataclass(frozen=True)
class MemoryHorizon:
    """The lag at which a gradient measure has fallen by a factor e, and the laws of its decay.

    ``str`` gives it in words: "12.0 steps (10.8 to 13.5), exponential", or "> 50 steps
    (extrapolated 83.0, 61.0 to 140; exponential)".

    Attributes:
        lag: the horizon in steps; inf where the measure does not fall.
        interval: its 95% interval, steps; the upper end is inf where there may be no fall.
        kind: how the horizon is known. ``reached``: the series falls by e within the lags and stays
            below; ``extrapolated``: it falls, but not by e, and a law says where it will; ``no
            fall``: it does not fall, or not significantly; ``finite support``: it is exactly zero
            from some lag on, before it has fallen by e.
        longest: the largest lag given, steps.
        rate: slope of a straight line through ln norm beyond the first quarter of the lags, where
            transients have died out, nats per step.
        rate_interval: its 95% interval.
        law: the preferred law, or ``none`` where there is no fall, or none that a law explains.
        fits: the laws of decay, the preferred one (smallest AICc) first; empty for less than four
            points that are not zero.
    """

    lag: float
    interval: tuple[float, float]
    kind: Kind
    longest: float
    rate: float
    rate_interval: tuple[float, float]
    law: str = "none"
    fits: tuple[DecayFit, ...] = ()

    @property
    def censored(self) -> bool:
        """Whether all that was seen of the horizon is that it lies beyond ``longest``."""
        return self.kind in ("extrapolated", "no fall")

    @property
    def rate_error(self) -> float:
        """Standard error of the rate: half the width of its interval over 1.96."""
        low, high = self.rate_interval
        return (high - low) / (2 * float(special.ndtri(0.975)))

    def __str__(self) -> str:
        low, high = map(_steps, self.interval)
        beyond = f"> {self.longest:g} steps"
        if self.kind == "finite support":
            return f"{_steps(self.lag)} steps (finite support)"
        if self.kind == "extrapolated":
            law = "" if self.law == "none" else f"; {self.law}"
            return f"{beyond} (extrapolated {_steps(self.lag)}, {low} to {high}{law})"
        if self.kind == "no fall" and self.interval[0] >= self.longest:
            return f"{beyond} (no fall)"
        if self.kind == "no fall":
            return f"{beyond} (no significant fall; 95% from {low})"
        if self.law == "none":
            first = f"crosses first at {low}; " if self.interval[0] < self.lag else ""
            return f"{_steps(self.lag)} steps ({first}no law)"
        return f"{_steps(self.lag)} steps ({low} to {high}), {self.law}"


def memory_horizon(lags: ArrayLike, log_norms: ArrayLike) -> MemoryHorizon:
    """The lag at which a gradient measure falls by e from its lag-0 value and stays below.

    Interpolated between the lags given; beyond them, extrapolated by the preferred law. The last
    crossing counts, so that a passing dip of an oscillating norm does not. The interval is that of
    the laws of ``decay_fits``, averaged by their Akaike weights, and holds the series' own crossing
    too; where no law explains the series it goes from the first crossing to the last.

    A norm that wanders may end low without a decay. It falls if the rate, an exponential or a power
    law does significantly, if one step that is out of scale with the others takes it down, or if it
    has few points and falls at each.

    Exact zeros followed by others, as of a norm that lives on every second lag, are left out of all
    this. So are values at the end below the least normal float32, if they stick there or at zero.

    >>> found = memory_horizon(range(101), [-lag / 12 for lag in range(101)])
    >>> found.lag
    12.0
    >>> print(found)
    12.0 steps (12.0 to 12.0), exponential

    Args:
        lags: ascending lags, the first being 0, in steps; of any spacing.
        log_norms: ln of the measure at each lag, nats; -inf where exactly zero. NaNs are left out.

    Raises:
        UnusableSeriesError: unless there are at least three points, the first at lag 0 and finite.

    Reference: Burnham and Anderson (2002), Model selection and multimodel inference.
    """
    return memory_horizons(lags, np.asarray(log_norms, dtype=float)[..., None])[0]


def memory_horizons(lags: ArrayLike, log_norms: ArrayLike) -> list[MemoryHorizon]:
    """``memory_horizon`` of each series, (lag, series); the laws are fitted to all at once.

    Raises:
        UnusableSeriesError: as ``memory_horizon``.
    """
    table = np.asarray(log_norms, dtype=float)
    series = [_Series.of(lags, table[..., place]) for place in range(table.shape[-1])]
    laws = _together(_laws, [each.fitted for each in series])
    rates = _together(_rates, [_settled(*each.fitted) for each in series])
    return [_horizon(*each) for each in zip(series, laws, rates, strict=True)]


class _Series(NamedTuple):
    """Log norms by lag: whether each is not zero, and the part that is fitted."""

    x: _Array
    y: _Array
    alive: NDArray[np.bool_]
    fitted: tuple[_Array, _Array]

    @classmethod
    def of(cls, lags: ArrayLike, log_norms: ArrayLike) -> _Series:
        x, y = _checked(lags, log_norms)
        alive = np.isfinite(y)
        lively = int(alive.sum()) - _sunk(y[alive], vanishes=not alive[-1])
        return cls(x, y, alive, (x[alive][:lively], y[alive][:lively]))


class _Laws(NamedTuple):
    """The laws of decay of a series, the horizon's interval averaged over them, and whether the
    first explains the series.
    """

    fits: tuple[DecayFit, ...] = ()
    averaged: tuple[float, float] = (0.0, np.inf)
    explained: bool = False


def _together(
    found_of: Callable[[_Array, _Array], list[_Found]], series: list[tuple[_Array, _Array]]
) -> list[_Found]:
    """What is found of each series, from those with the same lags at once."""
    by_lags: dict[bytes, list[int]] = {}
    for place, (x, _) in enumerate(series):
        by_lags.setdefault(x.tobytes(), []).append(place)
    found: dict[int, _Found] = {}
    for places in by_lags.values():
        table = np.stack([series[place][1] for place in places], axis=1)
        found.update(zip(places, found_of(series[places[0]][0], table), strict=True))
    return [found[place] for place in range(len(series))]


def _laws(x: _Array, table: _Array) -> list[_Laws]:
    """The laws of each series."""
    fits = fits_of(x, table)
    if not fits[0]:
        return [_Laws() for _ in fits]
    explains = explained([each[0] for each in fits], x, table)
    averaged = horizon_intervals([_weighted(each) for each in fits])
    return [_Laws(*each) for each in zip(fits, averaged, explains, strict=True)]


def _horizon(series: _Series, laws: _Laws, slope: _Slope) -> MemoryHorizon:
    """The horizon of one series from its laws and its slope."""
    (x, y, alive, (x_fit, y_fit)), fits = series, laws.fits
    rate, rate_interval, no_fall = slope
    falls = min([no_fall, *map(_no_fall, fits)]) < _SIGNIFICANT or _falls_always(y_fit)
    laws = laws._replace(explained=falls and laws.explained)
    crossings, dead_from = _crossings(x[alive], y[alive]), _dead_from(x, alive)
    if crossings and (falls or jumps(x_fit, y_fit)):
        lag, interval = crossings[1], laws.averaged if laws.explained else crossings
        kind: Kind = "reached"
    elif dead_from is not None and not crossings:
        first = min(float(x[alive][-1]) + 1, dead_from)  # after the last that is not zero
        lag, interval, kind = dead_from, (first, dead_from), "finite support"
    else:
        lag, interval, kind = _beyond(float(x[-1]), laws, rate, rate_interval, falls)
    law = fits[0].law if laws.explained else "none"
    ends = min(interval[0], lag), max(interval[1], lag)
    return MemoryHorizon(lag, ends, kind, float(x[-1]), rate, rate_interval, law, fits)


def _beyond(
    longest: float,
    laws: _Laws,
    rate: float,
    rate_interval: tuple[float, float],
    falls: bool,
) -> tuple[float, tuple[float, float], Kind]:
    """(horizon, interval, kind) of a series that has not fallen by e within its lags."""
    straight = _straight(rate_interval[0]), _straight(rate_interval[1])
    if not falls:
        return np.inf, ((laws.averaged if laws.fits else straight)[0], np.inf), "no fall"
    if laws.explained:
        return max(laws.fits[0].horizon, longest), laws.averaged, "extrapolated"
    return max(_straight(rate), longest), straight, "extrapolated"


def _straight(rate: float) -> float:
    """The lag at which a straight line falls by 1 nat."""
    return -1 / rate if rate < 0 else np.inf


def _checked(lags: ArrayLike, log_norms: ArrayLike) -> tuple[_Array, _Array]:
    """Lags and log norms without those that are NaN."""
    x, y = np.asarray(lags, dtype=float), np.asarray(log_norms, dtype=float)
    if x.ndim != 1 or x.shape != y.shape:
        raise UnusableSeriesError(
            f"a memory horizon needs a log norm for each lag, got {y.shape} and {x.shape}"
        )
    x, y = x[~np.isnan(y)], y[~np.isnan(y)]
    ascending = bool(np.all(np.diff(x) > 0)) and bool(np.isfinite(x).all())
    if len(x) < 3 or x[0] != 0 or not np.isfinite(y[0]) or not ascending:
        raise UnusableSeriesError(
            "a memory horizon needs three points or more at ascending lags, the first at lag 0 and "
            "finite"
        )
    if np.any(y == np.inf):
        raise UnusableSeriesError(
            f"the log norm at lag {x[y == np.inf][0]:g} is inf: the norm is beyond what its dtype "
            "holds; keep norms in log scale, or in float64"
        )
    return x, y


def _dead_from(x: _Array, alive: NDArray[np.bool_]) -> float | None:
    """The lag from which on all is zero; None if there is none.

    Where earlier zeros are followed by others, as at every second lag, the zeros at the end are of
    that kind unless more lags in a row are zero than ever before.
    """
    last = int(np.flatnonzero(alive)[-1])
    if last + 1 == len(x):
        return None
    before = int(np.diff(np.flatnonzero(alive), prepend=0).max()) - 1 if last else 0
    in_a_row = np.diff(np.flatnonzero(np.append(np.diff(x[last + 1 :]) != 1, True)), prepend=-1)
    return float(x[last + 1]) if before < 1 or in_a_row.max() > before else None


def _sunk(y: _Array, vanishes: bool) -> int:
    """How many points at the end are below float32's normal range, where the series then sticks.

    It does so at a least value, or at zero (``vanishes``).
    """
    if not vanishes and y[-1] != y[max(len(y) - 2, 0)]:
        return 0
    return min(int(np.argmin(np.append(y[::-1] < _LEAST_NORMAL, False))), len(y) - 1)


def _rates(x: _Array, table: _Array) -> list[_Slope]:
    """The slope of ln norm against lag of each series."""
    if len(x) == 1:
        return [(-np.inf, (-np.inf, np.inf), 1.0) for _ in table.T]
    if len(x) == 2:
        through = (table[1] - table[0]) / (x[1] - x[0])
        return [(float(each), (-np.inf, np.inf), 1.0) for each in through]
    found = slopes(x, table, [rounding(y) for y in table.T])
    intervals = end_to_end(found).intervals().tolist()
    return [
        (each.mean, (low, high), _not_below(each, x[-1]))
        for each, (low, high) in zip(found, intervals, strict=True)
    ]


def _not_below(slope: Mixture, longest: float) -> float:
    """Chance that a slope is not below 0."""
    return 1 - slope.below(0.0) if -slope.mean * longest > _ROUNDING else 1.0


def _settled(x: _Array, y: _Array) -> tuple[_Array, _Array]:
    """The points beyond a quarter of the lags, or all where these are few.

    A norm starts with a transient: at lag 0 all directions are alike, and it takes some steps until
    one of them dominates.
    """
    settled = x >= x[-1] / 4
    return (x[settled], y[settled]) if settled.sum() > _FEW else (x, y)


def _no_fall(fit: DecayFit) -> float:
    """Chance that a series does not fall, by a law that knows of series that do not."""
    knows = fit.law != "stretched" and fit.amount > _ROUNDING
    return fit.fall.below(0.0) if knows else 1.0


def _falls_always(y: _Array) -> bool:
    """Whether few points fall one and all."""
    return len(y) <= _FEW and bool(np.all(np.diff(y) < -_ROUNDING))


def _weighted(fits: tuple[DecayFit, ...]) -> list[tuple[float, DecayFit]]:
    """The fits with their Akaike weights."""
    weights = special.softmax([-fit.aicc / 2 for fit in fits])
    return [(float(weight), fit) for weight, fit in zip(weights, fits, strict=True)]


def _crossings(x: _Array, y: _Array) -> tuple[float, float] | None:
    """Lags at which ln norm first and last falls by 1; None if it does not stay below."""
    above = y > y[0] - 1
    last = int(np.flatnonzero(above)[-1])
    if last + 1 == len(x):
        return None
    first = int(np.argmin(above)) - 1

    def crossing(at: int) -> float:
        share = (y[at] - (y[0] - 1)) / (y[at] - y[at + 1])
        return float(x[at] + share * (x[at + 1] - x[at]))

    return crossing(first), crossing(last)


def _steps(lag: float) -> str:
    """A lag to three digits."""
    return f"{lag:#.3g}".removesuffix(".") if lag < 1000 else f"{lag:.0f}"
