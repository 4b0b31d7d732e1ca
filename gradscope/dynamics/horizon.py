"""The memory horizon: how far back a gradient reaches, from its log norms by lag."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from gradscope.dynamics.decay import DecayFit, decay_fits, horizon_interval, rounding
from gradscope.dynamics.wandering import slope, whitened
from gradscope.errors import UnusableSeriesError

Kind = Literal["reached", "extrapolated", "no fall", "finite support"]
_Array = NDArray[np.float64]

#: ln of the least normal float32: norms that sink below it lose their digits, and stick
_LEAST_NORMAL = float(np.log(np.finfo(np.float32).tiny))
#: a fall over all lags within this is rounding, nats
_ROUNDING = 1e-6
#: up to so many points are few: they all count for the rate, and a fall at each is significant
_FEW = 8
#: chance of no fall below which a fall is significant: half of the 5% outside a 95% interval, and
#: that half again, as three lines are tried that have much in common
_SIGNIFICANT = 0.0125
#: chance below which the greatest of several errors is out of scale with the others
_OUT_OF_SCALE = 0.001


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
    x, y = _checked(lags, log_norms)
    alive = np.isfinite(y)
    lively = int(alive.sum()) - _sunk(y[alive], vanishes=not alive[-1])
    x_fit, y_fit = x[alive][:lively], y[alive][:lively]
    fits = decay_fits(x_fit, y_fit)
    rate, rate_interval, no_fall = _rate(*_settled(x_fit, y_fit))
    falls = min([no_fall, *map(_no_fall, fits)]) < _SIGNIFICANT or _falls_always(y_fit)
    explained = bool(fits) and falls and explains(fits[0], x_fit, y_fit)
    crossings, dead_from = _crossings(x[alive], y[alive]), _dead_from(x, alive)
    if crossings and (falls or _jumps(x_fit, y_fit)):
        lag, interval = crossings[1], _averaged(fits) if explained else crossings
        kind: Kind = "reached"
    elif dead_from is not None and not crossings:
        first = min(float(x[alive][-1]) + 1, dead_from)  # after the last that is not zero
        lag, interval, kind = dead_from, (first, dead_from), "finite support"
    else:
        lag, interval, kind = _beyond(float(x[-1]), fits, rate, rate_interval, falls, explained)
    law = fits[0].law if explained else "none"
    ends = min(interval[0], lag), max(interval[1], lag)
    return MemoryHorizon(lag, ends, kind, float(x[-1]), rate, rate_interval, law, fits)


def _beyond(
    longest: float,
    fits: tuple[DecayFit, ...],
    rate: float,
    rate_interval: tuple[float, float],
    falls: bool,
    explained: bool,
) -> tuple[float, tuple[float, float], Kind]:
    """(horizon, interval, kind) of a series that has not fallen by e within its lags."""
    straight = _straight(rate_interval[0]), _straight(rate_interval[1])
    if not falls:
        return np.inf, (_averaged(fits)[0] if fits else straight[0], np.inf), "no fall"
    if explained:
        return max(fits[0].horizon, longest), _averaged(fits), "extrapolated"
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


def _rate(x: _Array, y: _Array) -> tuple[float, tuple[float, float], float]:
    """(slope of ln norm against lag, its interval, chance that it is not below 0)."""
    if len(x) == 1:
        return -np.inf, (-np.inf, np.inf), 1.0
    if len(x) == 2:
        return float((y[1] - y[0]) / (x[1] - x[0])), (-np.inf, np.inf), 1.0
    found = slope(x, y, rounding(y))
    falls = -found.mean * x[-1] > _ROUNDING
    return found.mean, found.interval(), 1 - found.below(0.0) if falls else 1.0


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


def _averaged(fits: tuple[DecayFit, ...]) -> tuple[float, float]:
    """95% interval of the horizon, averaged over the laws."""
    weighted = _weighted(fits)
    return horizon_interval(
        lambda lag: sum(weight * fit.chance_within(lag) for weight, fit in weighted),
        fits[0].longest,
    )


def explains(fit: DecayFit, x: _Array, y: _Array) -> bool:
    """Whether no step but the first is out of scale with how the series wanders about the law."""
    x, residuals = x[1:], (y - fit.at(x))[1:, None]
    errors = np.array([error[0, 0] for error, _ in whitened(x, residuals, fit.fall.way)])
    return not _out_of_scale(np.abs(errors), 2, rounding(y))


def _jumps(x: _Array, y: _Array) -> bool:
    """Whether the series falls at one step that is out of scale with the others."""
    steps = np.diff(y) / np.sqrt(np.diff(x))
    return len(steps) > 3 and _out_of_scale(np.median(steps) - steps, 1, rounding(y))


def _out_of_scale(errors: _Array, sides: int, floor: float) -> bool:
    """Whether the greatest error is an outlier, by Student's t of it over the others."""
    count, greatest = len(errors), float(errors.max())
    others = float(np.sum(errors**2)) - greatest**2 + count * floor**2
    chance = special.stdtr(count - 1, -greatest / np.sqrt(others / (count - 1)))
    return bool(sides * count * chance < _OUT_OF_SCALE)


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
