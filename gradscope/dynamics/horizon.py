"""The memory horizon: how far back a gradient reaches, from its log norms by lag."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from gradscope.dynamics.decay import DecayFit, decay_fits

Kind = Literal["measured", "extrapolated", "infinite", "finite support"]

#: share of the variance of ln norm that a law must explain to count as fitting
FITS = 0.9


@dataclass(frozen=True)
class MemoryHorizon:
    """The lag at which a gradient measure has fallen by a factor e, and the laws of its decay.

    Attributes:
        lag: the horizon in steps; inf where the measure does not fall.
        kind: how the horizon is known. ``measured``: the series falls by e within the lags given;
            ``extrapolated``: the best fitting law falls by e beyond them; ``infinite``: there is
            no significant fall; ``finite support``: the series becomes exactly zero before it has
            fallen by e.
        rate: slope of ln norm against lag by least squares over the finite points, nats per step.
        rate_error: standard error of the rate.
        residual: root mean square of the residuals of that line, nats.
        fits: the laws of decay, the preferred one (smallest AICc) first; empty for a series that
            does not fall.
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
    """The lag at which a gradient measure falls by e from its lag-0 value and stays below.

    Interpolated between the lags given; beyond them, extrapolated by the best fitting law. The last
    crossing counts, so that a passing dip of an oscillating norm does not.

    >>> memory_horizon(range(101), [-lag / 12 for lag in range(101)]).lag
    12.0

    Args:
        lags: ascending lags, the first being 0, in steps.
        log_norms: ln of the measure at each lag, nats; -inf where exactly zero. NaNs are left out.

    Raises:
        ValueError: unless there are at least three points, the first at lag 0 and finite.
    """
    x, y = np.asarray(lags, dtype=float), np.asarray(log_norms, dtype=float)
    x, y = x[~np.isnan(y)], y[~np.isnan(y)]
    if len(x) < 3 or x[0] != 0 or not np.isfinite(y[0]) or np.any(np.diff(x) <= 0):
        raise ValueError(
            "a memory horizon needs three points or more at ascending lags, the first at lag 0 and "
            "finite"
        )
    finite = np.isfinite(y)
    rate, error, residual = _line(x[finite], y[finite])
    # a slope that is within rounding of the log norms does not count as a fall
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
        lag = max(float(beyond), float(x[-1]))
        return MemoryHorizon(lag, "extrapolated", rate, error, residual, fits)
    return MemoryHorizon(np.inf, "infinite", rate, error, residual)


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float, float]:
    """(slope, standard error of the slope, root mean square residual) of a straight line."""
    if len(x) < 3:
        return -np.inf, np.nan, np.nan
    line = stats.linregress(x, y)
    residuals = y - line.intercept - line.slope * x
    return float(line.slope), float(line.stderr), float(np.sqrt(np.mean(residuals**2)))
