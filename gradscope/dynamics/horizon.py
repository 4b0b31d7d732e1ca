"""The memory horizon: how far back a gradient reaches, and by what law it decays, from log norms by
lag.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

Kind = Literal["measured", "extrapolated", "infinite", "finite support"]

#: share of the series' variance that a law must explain before it is said to fit
FITS = 0.9


@dataclass(frozen=True)
class DecayFit:
    """A law of decay fitted to ln norm against lag by least squares.

    Attributes:
        law: exponential: y0 - lag / tau; power: y0 - alpha ln(1 + lag); stretched: y0 - (lag /
            tau)^beta.
        parameters: name to value.
        intervals: name to its 95% interval, from the fit's covariance and Student's t.
        residual: root mean square of the residuals, nats.
        explained: share of the variance of ln norm that the law explains.
        aicc: Akaike's criterion, corrected for few points; the smallest is the law to prefer.
    """

    law: Literal["exponential", "power", "stretched"]
    parameters: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    residual: float
    explained: float
    aicc: float

    @property
    def horizon(self) -> float:
        """The lag at which the law has fallen by e."""
        match self.law:
            case "power":
                alpha = self.parameters["alpha"]
                return float(np.expm1(1 / alpha)) if alpha > 1 / 700 else np.inf
            case _:
                return self.parameters["tau"] if self.parameters["tau"] > 0 else np.inf


@dataclass(frozen=True)
class MemoryHorizon:
    """The lag at which a gradient measure has fallen by e from its lag-0 value, and the laws fitted
    beside it.

    Attributes:
        lag: the horizon in steps; inf where the measure does not fall.
        kind: ``measured``: the series falls by e within the lags given; ``extrapolated``: the best
            law that fits falls by e beyond them; ``infinite``: no significant fall; ``finite
            support``: the series is exactly zero from some lag on before it has fallen by e.
        rate: slope of ln norm against lag by least squares over the finite points, nats per step.
        rate_error: its standard error.
        residual: root mean square of that line's residuals, nats.
        fits: the laws, the one to prefer (smallest AICc) first; none for a series that does not
            fall.
    """

    lag: float
    kind: Kind
    rate: float
    rate_error: float
    residual: float
    fits: tuple[DecayFit, ...] = ()

    @property
    def law(self) -> str:
        """The name of the preferred law, or ``none`` where none explains the series."""
        return self.fits[0].law if self.fits and self.fits[0].explained >= FITS else "none"


def memory_horizon(lags: ArrayLike, log_norms: ArrayLike) -> MemoryHorizon:
    """Where ln norm first lies 1 under its lag-0 value for good, by interpolation; beyond the data
    by the law that fits best.

    'For good': the last crossing is taken, so that a transient dip of an oscillating norm does not
    count.

    Args:
        lags: ascending, starting with 0, in steps.
        log_norms: ln of the measure at each, nats; -inf where exactly zero. NaNs are left out.

    Raises:
        ValueError: unless there are at least three points, the first at lag 0 and finite.
    """
    x, y = np.asarray(lags, dtype=float), np.asarray(log_norms, dtype=float)
    x, y = x[~np.isnan(y)], y[~np.isnan(y)]
    if len(x) < 3 or x[0] != 0 or not np.isfinite(y[0]) or np.any(np.diff(x) <= 0):
        raise ValueError(
            "a memory horizon needs three points or more at ascending lags, the first at lag 0 and"
            " finite"
        )
    finite = np.isfinite(y)
    rate, error, residual = -np.inf, np.nan, np.nan
    if finite.sum() >= 3:
        line: Any = stats.linregress(x[finite], y[finite])
        rate, error = float(line.slope), float(line.stderr)
        residual = float(
            np.sqrt(np.mean((y[finite] - line.intercept - line.slope * x[finite]) ** 2))
        )
    # a slope within rounding of the log norms themselves is no fall
    falls = np.isfinite(rate) and rate < 0 and not rate > -3 * error and -rate * x[-1] > 1e-6
    fits = decay_fits(x[finite], y[finite]) if falls else ()
    last = int(np.flatnonzero(y > y[0] - 1)[-1])
    if last + 1 < len(x):
        if not np.isfinite(y[last + 1]):
            return MemoryHorizon(float(x[last + 1]), "finite support", rate, error, residual, fits)
        fraction = (y[last] - (y[0] - 1)) / (y[last] - y[last + 1])
        lag = float(x[last] + fraction * (x[last + 1] - x[last]))
        return MemoryHorizon(lag, "measured", rate, error, residual, fits)
    if falls:
        beyond = fits[0].horizon if fits and fits[0].explained >= FITS else -1 / rate
        return MemoryHorizon(
            max(float(beyond), float(x[-1])), "extrapolated", rate, error, residual, fits
        )
    return MemoryHorizon(np.inf, "infinite", rate, error, residual)


_LAWS: dict[str, tuple[Callable[..., np.ndarray], tuple[str, ...], tuple[float, float]]] = {
    "exponential": (lambda x, y0, inverse: y0 - x * inverse, ("y0", "tau"), (-np.inf, np.inf)),
    "power": (lambda x, y0, alpha: y0 - alpha * np.log1p(x), ("y0", "alpha"), (-np.inf, np.inf)),
    "stretched": (
        lambda x, y0, tau, beta: y0 - (x / tau) ** beta,
        ("y0", "tau", "beta"),
        (0.05, 3.0),
    ),
}


def decay_fits(lags: ArrayLike, log_norms: ArrayLike) -> tuple[DecayFit, ...]:
    """The exponential, power and stretched-exponential law, fitted to finite ln norms; the one to
    prefer first.

    A law with as many parameters as there are points, or whose fit does not converge, is left out.

    Reference: Burnham and Anderson (2002), Model selection and multimodel inference, for AICc.
    """
    x, y = np.asarray(lags, dtype=float), np.asarray(log_norms, dtype=float)
    slope = max((y[0] - y[-1]) / max(x[-1], 1e-12), 1e-9)
    starts = {
        "exponential": (y[0], slope),
        "power": (y[0], slope * x[-1] / np.log1p(x[-1])),
        "stretched": (y[0], 1 / slope, 1.0),
    }
    found = []
    for law, (function, names, beta) in _LAWS.items():
        if len(x) <= len(names) + 1:
            continue
        low, high = np.full(len(names), -np.inf), np.full(len(names), np.inf)
        if law == "stretched":
            low[1:], high[1:] = (1e-9, beta[0]), (1e12, beta[1])
        try:
            values, covariance = optimize.curve_fit(
                function, x, y, p0=starts[law], bounds=(low, high), maxfev=5000
            )
        except (RuntimeError, ValueError):
            continue
        found.append(_described(law, names, values, covariance, x, y - function(x, *values), y))
    return tuple(sorted(found, key=lambda fit: fit.aicc))


def _described(
    law: Any,
    names: tuple[str, ...],
    values: np.ndarray,
    covariance: np.ndarray,
    x: np.ndarray,
    residuals: np.ndarray,
    y: np.ndarray,
) -> DecayFit:
    count, free = len(x), len(names)
    squares = float(np.sum(residuals**2))
    reach = stats.t.ppf(0.975, count - free) * np.sqrt(np.clip(np.diag(covariance), 0, None))
    parameters = {name: float(value) for name, value in zip(names, values, strict=True)}
    intervals = {
        n: (float(v - r), float(v + r)) for n, v, r in zip(names, values, reach, strict=True)
    }
    if law == "exponential":  # fitted as 1 / tau, which stays finite where there is no decay
        low, high = intervals["tau"]
        parameters["tau"] = 1 / parameters["tau"] if parameters["tau"] != 0 else np.inf
        intervals["tau"] = (
            (1 / high, 1 / low) if low > 0 else (1 / high if high > 0 else np.inf, np.inf)
        )
    total = float(np.sum((y - y.mean()) ** 2))
    # a residual at the level of rounding is as good as none: without a floor AICc would compare
    # noise with noise
    floor = count * (1e-9 * max(1.0, float(np.abs(y).max()))) ** 2
    k = free + 1
    aicc = (
        count * np.log(max(squares, floor) / count)
        + 2 * k
        + 2 * k * (k + 1) / max(count - k - 1, 1e-9)
    )
    explained = 1 - squares / total if total > 0 else 0.0
    return DecayFit(
        law, parameters, intervals, float(np.sqrt(squares / count)), explained, float(aicc)
    )
