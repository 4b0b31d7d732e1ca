"""Statistics of trials: medians that know infinity, intervals of shares, and what counts as strong."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

#: ln of the factor, a thousand, beyond which a gradient is said to vanish or to explode
STRONG = math.log(1e3)


def median(values: ArrayLike) -> float:
    """The median, infinities in their order and NaNs left out.

    Of an even number of values with an infinite one in the middle, that infinity.

    >>> median([-math.inf, -math.inf, 0.0])
    -inf
    """
    ordered = np.asarray(values, dtype=float)
    ordered = np.sort(ordered[~np.isnan(ordered)])
    if not len(ordered):
        return float("nan")
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return float(low) if low == high else float((low + high) / 2)


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion.

    Reference: Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    interval = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)
