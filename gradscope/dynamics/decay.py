"""Laws of decay, fitted to log norms against lag."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from gradscope.dynamics.students import ENDS, crossings
from gradscope.dynamics.wandering import (
    Innovations,
    Mixture,
    Moments,
    Wandering,
    end_to_end,
    innovations,
    moments,
    posterior,
    ways_to_wander,
)
from gradscope.errors import GradscopeError

LawName = Literal["exponential", "power", "stretched"]
_Array = NDArray[np.float64]

#: log norms are believed to this share of the greatest, or of a nat: what float64 leaves of a
#: residual whose sum of squares is a difference of larger ones
_ROUNDING = 1e-8
#: horizons are looked for between these, ln steps
_NEAREST, _FARTHEST = np.log([1e-12, 1e15])
#: a component with less weight is lost to rounding
_UNHEARD = 1e-16
#: a fall by less is none, nats
_LEAST_FALL = 1e-300
#: exponents of a stretched exponential: least, greatest, and how many are weighed at a time
_EXPONENTS = 0.05, 3.0, 25


class _Law(NamedTuple):
    """The shape of a law: ln norm = y0 - c shape(lag, exponent); it has decayed where c > 0."""

    shape: Callable[[_Array | float, _Array | float], _Array]
    #: the lag at which the shape has a value
    reaches: Callable[[_Array, float], _Array]
    #: parameters besides y0
    parameters: int


_LAWS: dict[LawName, _Law] = {
    "exponential": _Law(lambda lag, _: np.asarray(lag), lambda value, _: value, 1),
    "power": _Law(lambda lag, _: np.log1p(lag), lambda value, _: np.expm1(value), 1),
    "stretched": _Law(
        lambda lag, beta: np.asarray(lag) ** beta, lambda value, beta: value ** (1 / beta), 2
    ),
}


@dataclass(frozen=True)
class DecayFit:
    """A law of decay fitted to ln norm against lag, by the likelihood of its increments.

    Attributes:
        law: ``exponential``, ln norm = y0 - lag / tau; ``power``, y0 - alpha ln(1 + lag); or
            ``stretched``, y0 - (lag / tau)^beta.
        parameters: the value of each parameter, by name.
        horizon: the lag at which the law has fallen by a factor e; inf where it does not fall.
        residual: root mean square of the residuals, nats.
        explained: share of the variance of ln norm that the law explains.
        aicc: Akaike's criterion, corrected for few points; the law with the smallest is preferred.
        longest: the largest lag.
        amount: how far the law falls at the longest lag, nats.
        fall: what the series says of that amount.
    """

    law: LawName
    parameters: dict[str, float]
    horizon: float
    residual: float
    explained: float
    aicc: float
    longest: float = field(repr=False)
    amount: float = field(repr=False)
    fall: Mixture = field(repr=False, compare=False)

    def at(self, lags: ArrayLike) -> NDArray[np.float64]:
        """ln norm by the law at each lag, nats."""
        x, beta = np.asarray(lags, dtype=float), self.parameters.get("beta", 1.0)
        shape = _LAWS[self.law].shape
        return self.parameters["y0"] - self.amount * shape(x, beta) / shape(self.longest, beta)

    @cached_property
    def horizon_interval(self) -> tuple[float, float]:
        """95% interval of the horizon; its upper end is inf where the law may as well not fall."""
        return horizon_intervals([[(1.0, self)]])[0]

    @cached_property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """95% interval of each parameter but y0, by name."""
        if self.law == "power":
            scale = float(_LAWS["power"].shape(self.longest, 1.0))
            low, high = self.fall.interval()
            return {"alpha": (low / scale, high / scale)}
        if self.law == "exponential":
            return {"tau": self.horizon_interval}
        labels, index = np.unique(self.fall.labels, return_inverse=True)
        weights = np.bincount(index, self.fall.weights)
        low, high = np.interp(ENDS, np.cumsum(weights) - weights / 2, labels)
        return {"tau": self.horizon_interval, "beta": (float(low), float(high))}

    def chance_within(self, lag: float) -> float:
        """Probability that the law falls by a factor e within a lag."""
        law, labels = _LAWS[self.law], self.fall.labels
        return 1 - self.fall.below(law.shape(self.longest, labels) / law.shape(lag, labels))


def decay_fits(lags: ArrayLike, log_norms: ArrayLike) -> tuple[DecayFit, ...]:
    """Fit the three laws of decay to log norms, and order them by how well they explain them.

    A log norm wanders about its law: it is the sum of many steps' logarithms, so that its residuals
    are near to a random walk and not independent. The laws are fitted and compared by the
    likelihood of the increments, averaged over the ways to wander (``ways_to_wander``); intervals
    are quantiles of what is then known of a parameter. A law is left out if there are too few
    points for its parameters.

    >>> best = decay_fits(range(50), [-0.5 * lag for lag in range(50)])[0]
    >>> best.law, round(best.horizon, 6)
    ('exponential', 2.0)

    Args:
        lags: ascending lags of at least 0, steps; of any spacing.
        log_norms: ln of the measure at each lag, nats; all finite.

    Returns:
        The fits, the one with the smallest AICc first.

    Raises:
        GradscopeError: unless lags ascend from 0 or later and each has a finite log norm.

    Reference: Burnham and Anderson (2002), Model selection and multimodel inference, for AICc.
    """
    x, y = np.asarray(lags, dtype=float), np.asarray(log_norms, dtype=float)
    if x.ndim != 1 or x.shape != y.shape or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise GradscopeError("decay fits need a finite log norm for each lag")
    if np.any(x < 0) or np.any(np.diff(x) <= 0):
        raise GradscopeError("decay fits need ascending lags of at least 0")
    return fits_of(x, y[:, None])[0]


def fits_of(x: _Array, series: _Array) -> list[tuple[DecayFit, ...]]:
    """``decay_fits`` of each series, (lag, series), at the same lags."""
    ways = ways_to_wander(x)
    found: list[list[DecayFit]] = [[] for _ in series.T]
    if len(x) > 1:
        seen = innovations(x, series, ways)
        for name, law in _LAWS.items():
            if len(x) <= law.parameters + 2:
                continue
            weighed = _weighed(name, x, series, seen, ways)
            for fits, y, each in zip(found, series.T, weighed, strict=True):
                fits.append(_fit(name, x, y, each, ways))
    return [tuple(sorted(fits, key=lambda fit: fit.aicc)) for fits in found]


class _Weighed(NamedTuple):
    """Exponents that a law may have, the moments at each, and the greatest log likelihood."""

    exponents: _Array
    found: Moments
    log_likelihood: float


def _fit(name: LawName, x: _Array, y: _Array, weighed: _Weighed, ways: Wandering) -> DecayFit:
    law, longest = _LAWS[name], float(x[-1])
    exponents, found, likelihood = weighed
    fall = posterior(found, ways, exponents, rounding(y), positive=len(exponents) > 1)
    labels, index = np.unique(fall.labels, return_inverse=True)
    weights = np.bincount(index, fall.weights)
    exponent = float(labels[weights.argmax()])
    chosen = fall.labels == exponent
    amount = float(np.average(fall.means[chosen], weights=fall.weights[chosen]))
    residuals = y + amount * law.shape(x, exponent) / law.shape(longest, exponent)
    # a walk starts where the law does; what stays about the law is level with it
    y0 = float(residuals.mean() if fall.way.stationary[0] else residuals[0])
    horizon = _horizon(law, amount, longest, exponent)
    parameters = {"tau": horizon}
    if name == "power":
        parameters = {"alpha": amount / float(law.shape(longest, exponent))}
    if name == "stretched":
        parameters["beta"] = exponent
    return DecayFit(
        law=name,
        parameters={"y0": y0, **parameters},
        horizon=horizon,
        residual=float(np.sqrt(np.mean((residuals - y0) ** 2))),
        explained=_explained(y, residuals),
        aicc=_aicc(likelihood, law.parameters + 1, found.increments),
        longest=longest,
        amount=amount,
        fall=fall,
    )


def _explained(y: _Array, residuals: _Array) -> float:
    total = float(np.var(y))
    return 1 - float(np.var(residuals)) / total if total > 0 else 0.0


def _aicc(log_likelihood: float, free: int, count: int) -> float:
    """Akaike's criterion of so many free parameters, the variance among them."""
    return -2 * log_likelihood + 2 * free + 2 * free * (free + 1) / max(count - free - 1, 1e-9)


def rounding(y: _Array) -> float:
    """What log norms are believed to, nats."""
    return _ROUNDING * max(1.0, float(np.abs(y).max()))


def _weighed(
    name: LawName, x: _Array, series: _Array, seen: Innovations, ways: Wandering
) -> list[_Weighed]:
    """What each series says of the exponents of a law.

    Columns fall by -1 in all. The range of exponents is narrowed until it is that of the likely
    ones; series with the same range share its columns.
    """
    low, high, points = _EXPONENTS if name == "stretched" else (1.0, 1.0, 1)
    found: dict[int, _Weighed] = {}
    wanted = {(low, high): list(range(series.shape[1]))}
    while wanted:
        (low, high), places = wanted.popitem()
        exponents = np.linspace(low, high, points)
        shape = _LAWS[name].shape(x[:, None], exponents)
        those = seen._replace(values=seen.values[:, :, places])
        whole = moments(x, -shape / shape[-1], those, ways)
        step = (high - low) / max(points - 1, 1)
        floors = np.array([rounding(series[:, place]) for place in places])
        scores = _log_likelihood(whole, ways, floors).T
        for at, (place, score) in enumerate(zip(places, scores, strict=True)):
            likely = exponents[score > score.max() - 12]
            ends = max(low, likely[0] - step), min(high, likely[-1] + step)
            if ends[1] - ends[0] > 0.6 * (high - low) or step < 1e-12:
                found[place] = _Weighed(exponents, whole.of(at), float(score.max()))
            else:
                wanted.setdefault(ends, []).append(place)
    return [found[place] for place in range(series.shape[1])]


def _log_likelihood(found: Moments, ways: Wandering, floors: _Array) -> _Array:
    """Greatest log likelihood of each column as a decay, averaged over the ways to wander.

    For all series of the moments, whose shocks are at least so large: (column, series).
    """
    squares = found.yy[:, None] - np.maximum(found.xy, 0) ** 2 / found.xx[..., None]
    squares = np.maximum(squares, 0) + found.increments * floors**2
    weight = ways.log_prior - found.log_variance / 2
    spread = found.increments * np.log(squares / found.increments) / 2
    return special.logsumexp(weight[:, None, None] - spread, axis=0)


def _horizon(law: _Law, amount: float, longest: float, exponent: float) -> float:
    """The lag at which a law that falls by an amount at the longest lag falls by 1, nats."""
    if amount <= 0:
        return np.inf
    with np.errstate(over="ignore"):
        return float(law.reaches(law.shape(longest, exponent) / amount, exponent))


def horizon_intervals(
    weighted: Sequence[Sequence[tuple[float, DecayFit]]],
) -> list[tuple[float, float]]:
    """The 95% interval of each horizon, averaged over laws with these weights.

    The laws are of series with the same lags.
    """
    parts = [part for laws in weighted for part in laws]
    longest, counts = parts[0][1].longest, [len(fit.fall.weights) for _, fit in parts]
    labels = np.concatenate([fit.fall.labels for _, fit in parts])
    power = np.repeat([fit.law == "power" for _, fit in parts], counts)
    falls = end_to_end([fit.fall for _, fit in parts])
    falls = falls._replace(
        weights=falls.weights * np.repeat([weight for weight, _ in parts], counts),
        sizes=np.array([sum(len(fit.fall.weights) for _, fit in laws) for laws in weighted]),
    )
    heard = falls.weights > _UNHEARD
    falls, labels, power = falls.of(heard), labels[heard], power[heard]

    def reached(amounts: _Array) -> _Array:
        """ln of the lag by which each component falls by 1, if it falls so far at the longest."""
        falling = np.maximum(amounts, _LEAST_FALL)
        of_power = np.log(np.expm1(np.minimum(np.log1p(longest) / falling, _FARTHEST)))
        logs = np.where(power, of_power, np.log(longest) - np.log(falling) / labels)
        return np.clip(logs, _NEAREST, _FARTHEST)

    def over(logs: _Array) -> _Array:
        """How far the chance that the horizon is within e^logs exceeds the ends' shares."""
        each = falls.each(logs)
        shape = np.exp(labels[:, None] * (np.log(longest) - each))
        of_power = np.log1p(longest) / np.log1p(np.exp(each))
        return 1 - falls.below(np.where(power[:, None], of_power, shape)) - ENDS

    least, most = falls.reach()
    near, far = (end[:, None].repeat(2, 1) for end in falls.bounds(reached(most), reached(least)))
    found = np.exp(crossings(over, near, far, 1e-8))
    found[(far >= _FARTHEST) & (over(far) < 0)] = np.inf
    found[(near <= _NEAREST) & (over(near) > 0)] = 0.0
    return [(float(low), float(high)) for low, high in found]
