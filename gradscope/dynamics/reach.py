"""How far back an influence reaches: a mean lag, and the lag within which most of it lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gradscope.errors import GradscopeError

_Array = NDArray[np.float64]


@dataclass(frozen=True)
class Reach:
    """A length in lags, measured within the lags that a sequence has.

    ``str`` gives it in words: "12.3 steps (11.9 to 12.7)", or "> 95 steps".

    Attributes:
        lag: the length, steps; where it is censored, what it is at least.
        interval: 95%, by resampling; NaN where there is nothing to resample.
        longest: the longest lag that was seen.
        censored: whether a sequence twice as long would give a longer one, if the influence goes on
            to fall as it does over the last half of the lags.
    """

    lag: float
    interval: tuple[float, float]
    longest: int
    censored: bool

    def __str__(self) -> str:
        if np.isnan(self.lag):
            return "not known, as all is zero"
        if self.censored:
            return f"> {_steps(self.lag)} steps"
        if np.isnan(self.interval[0]):
            return f"{_steps(self.lag)} steps"
        low, high = map(_steps, self.interval)
        return f"{_steps(self.lag)} steps ({low} to {high})"


def temporal_range(lags: ArrayLike, log_norms: ArrayLike) -> float:
    """The mean lag, each lag weighted by the norm of its influence.

        sum_l l w_l / sum_l w_l,    w_l = exp(log_norm_l)

    >>> temporal_range([0, 1, 2], [0.0, -float("inf"), 0.0])
    1.0

    Args:
        lags: steps.
        log_norms: ln of the influence at each lag, nats; -inf where exactly zero.

    Returns:
        Steps; NaN where all are zero.

    Reference: Lafuente-Mercado, Rus and Rusch (2025), arXiv 2512.06204. They leave out lag 0.
    """
    x, weights = np.asarray(lags, dtype=float), weights_of(log_norms)
    return float(x @ weights / weights.sum()) if weights.sum() > 0 else np.nan


def effective_context(lags: ArrayLike, log_norms: ArrayLike, share: float = 0.9) -> float:
    """The least lag within which a share of the influence lies.

    The influence is the sum of the norms over all lags given: sum_{l <= L} w_l >= share sum_l w_l,
    w_l = exp(log_norm_l).

    >>> effective_context(range(100), [0.0] * 100)
    89.0

    Args:
        lags: ascending, steps.
        log_norms: ln of the influence at each lag, nats; -inf where exactly zero.
        share: between 0 and 1.

    Returns:
        Steps; NaN where all are zero.

    Raises:
        GradscopeError: for a share that is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise GradscopeError(f"share={share}: should be between 0 and 1, such as 0.9")
    x, reached = np.asarray(lags, dtype=float), np.cumsum(weights_of(log_norms))
    if not reached[-1] > 0:
        return np.nan
    # rounding of a sum must not move it by a lag
    return float(x[np.searchsorted(reached, share * reached[-1] * (1 - 1e-12))])


def weights_of(log_norms: ArrayLike) -> _Array:
    """The norms over the largest of them."""
    y = np.asarray(log_norms, dtype=float)
    y = np.where(np.isnan(y), -np.inf, y)
    return np.exp(y - y.max()) if np.isfinite(y.max(initial=-np.inf)) else np.zeros_like(y)


def twice_as_long(lags: _Array, log_norms: _Array) -> tuple[_Array, _Array]:
    """Carried on to twice the lags, as a power law through the last half of them.

    Whatever the law is, that is how it falls there, or not much slower. A profile that has ended in
    exact zeros stays there.
    """
    last = lags >= lags[-1] / 2
    there = last & np.isfinite(log_norms)
    further = np.arange(lags[-1] + 1, 2 * lags[-1] + 1)
    if np.isneginf(log_norms[-1]) or there.sum() < 2:
        beyond = np.full(len(further), log_norms[-1])
    else:
        slope, level = np.polyfit(np.log1p(lags[there]), log_norms[there], 1)
        beyond = level + min(slope, 0.0) * np.log1p(further)
    return np.append(lags, further), np.append(log_norms, beyond)


def _steps(lag: float) -> str:
    """A lag to three digits, a whole one as it is."""
    if lag == int(lag):
        return f"{lag:.0f}"
    return f"{lag:#.3g}".removesuffix(".") if lag < 1000 else f"{lag:.0f}"
