"""The memory horizon: how far back a gradient reaches, from log norms by lag."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

Kind = Literal["measured", "extrapolated", "infinite", "finite support"]


@dataclass(frozen=True)
class MemoryHorizon:
    """The lag at which a gradient measure has fallen by e from its lag-0 value, and the fit beside it.

    Attributes:
        lag: the horizon in steps; inf where the measure does not fall.
        kind: ``measured``: the series falls by e within the lags given; ``extrapolated``: the exponential fit falls by e
            beyond them; ``infinite``: no significant fall; ``finite support``: the series is exactly zero from some lag on
            before it has fallen by e.
        rate: slope of ln norm against lag by least squares over the finite points, nats per step.
        rate_error: its standard error.
        residual: root mean square of the fit's residuals, nats; large against the fall where the decay is no exponential.
    """

    lag: float
    kind: Kind
    rate: float
    rate_error: float
    residual: float


def memory_horizon(lags: ArrayLike, log_norms: ArrayLike) -> MemoryHorizon:
    """Where ln norm first lies 1 under its lag-0 value for good, by interpolation; beyond the data by an exponential fit.

    'For good': the last crossing is taken, so that a transient dip of an oscillating norm does not count.

    Args:
        lags: ascending, starting with 0, in steps.
        log_norms: ln of the measure at each, nats; -inf where exactly zero. NaNs are left out.

    Raises:
        ValueError: unless there are at least three points, the first at lag 0 and finite.
    """
    x, y = np.asarray(lags, dtype=float), np.asarray(log_norms, dtype=float)
    x, y = x[~np.isnan(y)], y[~np.isnan(y)]
    if len(x) < 3 or x[0] != 0 or not np.isfinite(y[0]) or np.any(np.diff(x) <= 0):
        raise ValueError("a memory horizon needs three points or more at ascending lags, the first at lag 0 and finite")
    finite = np.isfinite(y)
    if finite.sum() >= 3:
        fit: Any = stats.linregress(x[finite], y[finite])
        rate, error = float(fit.slope), float(fit.stderr)
        residual = float(np.sqrt(np.mean((y[finite] - fit.intercept - fit.slope * x[finite]) ** 2)))
    else:
        rate, error, residual = -np.inf, np.nan, np.nan
    above = np.flatnonzero(y > y[0] - 1)
    last = int(above[-1])
    if last + 1 < len(x):
        if not np.isfinite(y[last + 1]):
            return MemoryHorizon(float(x[last + 1]), "finite support", rate, error, residual)
        fraction = (y[last] - (y[0] - 1)) / (y[last] - y[last + 1])
        return MemoryHorizon(float(x[last] + fraction * (x[last + 1] - x[last])), "measured", rate, error, residual)
    # a slope within rounding of the log norms themselves is no fall
    if np.isfinite(rate) and rate < 0 and rate < -3 * error and -rate * x[-1] > 1e-6:
        return MemoryHorizon(max(-1 / rate, float(x[-1])), "extrapolated", rate, error, residual)
    return MemoryHorizon(float(np.inf), "infinite", rate, error, residual)
