"""Laws of decay, fitted to log norms against lag."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from gradscope.dynamics.wandering import (
    Mixture,
    Moments,
    Wandering,
    moments,
    posterior,
    ways_to_wander,
)
from gradscope.errors import GradscopeError

LawName = Literal["exponential", "power", "stretched"]
_Array = NDArray[np.float64]

#: log norms are believed to this share of the greatest, or of a nat
_ROUNDING = 1e-9
#: horizons are looked for between these, steps
_NEAREST, _FARTHEST = 1e-12, 1e15
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
        return horizon_interval(self.chance_within, self.longest)

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
        low, high = np.interp([0.025, 0.975], np.cumsum(weights) - weights / 2, labels)
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
    ways = ways_to_wander(x)
    found = [_fit(name, x, y, ways) for name in _LAWS if len(x) > _LAWS[name].parameters + 2]
    return tuple(sorted(found, key=lambda fit: fit.aicc))


def _fit(name: LawName, x: _Array, y: _Array, ways: Wandering) -> DecayFit:
    law, longest = _LAWS[name], float(x[-1])
    exponents, found = _weighed(name, x, y, ways)
    likelihood = float(_log_likelihood(found, ways, rounding(y)).max())
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


def _weighed(name: LawName, x: _Array, y: _Array, ways: Wandering) -> tuple[_Array, Moments]:
    """Exponents that may be, and the moments of the law at each; columns fall by -1 in all."""
    low, high, points = _EXPONENTS
    if name != "stretched":
        low, high, points = 1.0, 1.0, 1
    while True:
        exponents = np.linspace(low, high, points)
        shape = _LAWS[name].shape(x[:, None], exponents)
        found = moments(x, -shape / shape[-1], y[:, None], ways)
        score = _log_likelihood(found, ways, rounding(y))
        likely = exponents[score > score.max() - 12]
        step = (high - low) / max(points - 1, 1)
        low, high = max(low, likely[0] - step), min(high, likely[-1] + step)
        if high - low > 0.6 * (exponents[-1] - exponents[0]) or step < 1e-12:
            return exponents, found


def _log_likelihood(found: Moments, ways: Wandering, floor: float) -> _Array:
    """Greatest log likelihood of each column as a decay, averaged over the ways to wander."""
    squares = found.yy - np.maximum(found.xy[:, :, 0], 0) ** 2 / found.xx
    squares = np.maximum(squares, 0) + found.increments * floor**2
    likelihood = (
        -(found.increments * np.log(squares / found.increments) + found.log_variance[:, None]) / 2
    )
    return special.logsumexp(likelihood + ways.log_prior[:, None], axis=0)


def _horizon(law: _Law, amount: float, longest: float, exponent: float) -> float:
    """The lag at which a law that falls by an amount at the longest lag falls by 1, nats."""
    if amount <= 0:
        return np.inf
    with np.errstate(over="ignore"):
        return float(law.reaches(law.shape(longest, exponent) / amount, exponent))


def horizon_interval(
    chance_within: Callable[[float], float], longest: float
) -> tuple[float, float]:
    """The 95% interval of a horizon from the probability that it is within a lag.

    It is looked for from the longest lag of a series outwards.
    """

    def end(share: float) -> float:
        near, far = longest, longest
        while chance_within(far) < share:
            near, far = far, 8 * far
            if far > _FARTHEST:
                return np.inf
        while chance_within(near) > share:
            near, far = near / 8, near
            if near < _NEAREST:
                return 0.0
        log_lag = optimize.brentq(
            lambda log_lag: chance_within(float(np.exp(log_lag))) - share,
            np.log(near),
            np.log(far),
            xtol=1e-8,
        )
        return float(np.exp(log_lag))

    return end(0.025), end(0.975)
