"""Laws of decay, fitted to log norms against lag."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

LawName = Literal["exponential", "power", "stretched"]
_Array = NDArray[np.float64]


@dataclass(frozen=True)
class DecayFit:
    """A law of decay fitted to ln norm against lag by least squares.

    Attributes:
        law: ``exponential``, ln norm = y0 - lag / tau; ``power``, y0 - alpha ln(1 + lag); or
            ``stretched``, y0 - (lag / tau)^beta.
        parameters: the value of each parameter, by name.
        intervals: its 95% interval, from the covariance of the fit and Student's t.
        residual: root mean square of the residuals, nats.
        explained: share of the variance of ln norm that the law explains.
        aicc: Akaike's criterion, corrected for few points; the law with the smallest is preferred.
    """

    law: LawName
    parameters: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    residual: float
    explained: float
    aicc: float

    @property
    def horizon(self) -> float:
        """The lag at which the law has fallen by a factor e; inf where it does not fall."""
        if self.law == "power":
            alpha = self.parameters["alpha"]
            return float(np.expm1(1 / alpha)) if alpha > 1 / 700 else np.inf
        return self.parameters["tau"] if self.parameters["tau"] > 0 else np.inf


class _Law(NamedTuple):
    """ln norm as a function of lag and parameters, with a start and bounds for the parameters."""

    function: Callable[..., _Array]
    names: tuple[str, ...]
    start: Callable[[_Array, _Array, float], tuple[float, ...]]
    low: tuple[float, ...]
    high: tuple[float, ...]


#: the exponential is fitted in 1 / tau, which stays finite where there is no decay
_LAWS: dict[LawName, _Law] = {
    "exponential": _Law(
        lambda x, y0, inverse: y0 - x * inverse,
        ("y0", "tau"),
        lambda x, y, slope: (y[0], slope),
        (-np.inf, -np.inf),
        (np.inf, np.inf),
    ),
    "power": _Law(
        lambda x, y0, alpha: y0 - alpha * np.log1p(x),
        ("y0", "alpha"),
        lambda x, y, slope: (y[0], slope * x[-1] / np.log1p(x[-1])),
        (-np.inf, -np.inf),
        (np.inf, np.inf),
    ),
    "stretched": _Law(
        lambda x, y0, tau, beta: y0 - (x / tau) ** beta,
        ("y0", "tau", "beta"),
        lambda x, y, slope: (y[0], 1 / slope, 1.0),
        (-np.inf, 1e-9, 0.05),
        (np.inf, 1e12, 3.0),
    ),
}


def decay_fits(lags: ArrayLike, log_norms: ArrayLike) -> tuple[DecayFit, ...]:
    """Fit the three laws of decay to log norms, and order them by how well they explain them.

    A law is left out if there are too few points for its parameters or its fit does not converge.

    >>> best = decay_fits(range(50), [-0.5 * lag for lag in range(50)])[0]
    >>> best.law, round(best.horizon, 6)
    ('exponential', 2.0)

    Args:
        lags: ascending lags, steps.
        log_norms: ln of the measure at each lag, nats; all finite.

    Returns:
        The fits, the one with the smallest AICc first.

    Reference: Burnham and Anderson (2002), Model selection and multimodel inference, for AICc.
    """
    x, y = np.asarray(lags, dtype=float), np.asarray(log_norms, dtype=float)
    slope = max((y[0] - y[-1]) / max(x[-1], 1e-12), 1e-9)
    fits = []
    for name, law in _LAWS.items():
        if len(x) <= len(law.names) + 1:
            continue
        try:
            values, covariance = optimize.curve_fit(
                law.function,
                x,
                y,
                p0=law.start(x, y, slope),
                bounds=(np.array(law.low), np.array(law.high)),
                maxfev=5000,
            )
        except (RuntimeError, ValueError):
            continue
        fits.append(_described(name, values, covariance, y, y - law.function(x, *values)))
    return tuple(sorted(fits, key=lambda fit: fit.aicc))


def _described(
    law: LawName, values: _Array, covariance: _Array, y: _Array, residuals: _Array
) -> DecayFit:
    names = _LAWS[law].names
    count, free = len(y), len(names)
    squares = float(np.sum(residuals**2))
    reach = stats.t.ppf(0.975, count - free) * np.sqrt(np.clip(np.diag(covariance), 0, None))
    parameters = {name: float(value) for name, value in zip(names, values, strict=True)}
    intervals = {
        name: (float(value - half), float(value + half))
        for name, value, half in zip(names, values, reach, strict=True)
    }
    if law == "exponential":
        low, high = intervals["tau"]
        parameters["tau"] = 1 / parameters["tau"] if parameters["tau"] != 0 else np.inf
        upper = 1 / low if low > 0 else np.inf
        intervals["tau"] = (1 / high if high > 0 else np.inf, upper)
    total = float(np.sum((y - y.mean()) ** 2))
    # a residual at the level of rounding is as good as none: without a floor AICc would compare
    # noise with noise
    floor = count * (1e-9 * max(1.0, float(np.abs(y).max()))) ** 2
    k = free + 1
    correction = 2 * k * (k + 1) / max(count - k - 1, 1e-9)
    aicc = count * np.log(max(squares, floor) / count) + 2 * k + correction
    explained = 1 - squares / total if total > 0 else 0.0
    return DecayFit(
        law, parameters, intervals, float(np.sqrt(squares / count)), explained, float(aicc)
    )
