"""The memory horizon: how far back a gradient reaches, from log norms by lag."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from gradscope.dynamics.decay import DecayFit, decay_fits

Kind = Literal["measured", "extrapolated", "infinite", "finite support"]

#: share of the series' variance that a law must explain before it is said to fit
FITS = 0.9


@dataclass(frozen=True)
class MemoryHorizon:
    """The lag at which a gradient measure has fallen by e, and the laws of decay beside it.

    Attributes:
        lag: the horizon in steps; inf where the measure does not fall.
        kind: ``measured``: the series falls by e within the lags given; ``extrapolated``: the best
            law that fits falls by e beyond them; ``infinite``: no significant fall;
            ``finite support``: the series is exactly zero from some lag on before it has fallen
            by e.
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
    """Where ln norm first lies 1 under its lag-0 value for good.

    By interpolation; beyond the data by the law that fits best. 'For good': the last crossing is
    taken, so that a transient dip of an oscillating norm does not count.

    >>> memory_horizon(range(101), [-lag / 12 for lag in range(101)]).lag
    12.0

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
            "a memory horizon needs three points or more at ascending lags, the first at lag 0 and "
            "finite"
        )
    finite = np.isfinite(y)
    rate, error, residual = _line(x[finite], y[finite])
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
        lag = max(float(beyond), float(x[-1]))
        return MemoryHorizon(lag, "extrapolated", rate, error, residual, fits)
    return MemoryHorizon(np.inf, "infinite", rate, error, residual)


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float, float]:
    """(slope, its standard error, root mean square residual) of a straight line."""
    if len(x) < 3:
        return -np.inf, np.nan, np.nan
    line = stats.linregress(x, y)
    residuals = y - line.intercept - line.slope * x
    return float(line.slope), float(line.stderr), float(np.sqrt(np.mean(residuals**2)))
