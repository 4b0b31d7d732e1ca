"""Statistics of trials: medians that keep infinities, and intervals of shares."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

#: ln of the factor, a thousand, beyond which a gradient is said to vanish or to explode
STRONG = math.log(1e3)


def median(values: ArrayLike) -> float:
    """The median of what is not NaN; infinities count as values; NaN where nothing is left.

    With an even number of values it is the mean of the middle two: an infinity if one of them is
    infinite, NaN if they are both infinities of opposite signs.

    >>> median([-math.inf, -math.inf, 0.0])
    -inf
    """
    ordered = np.asarray(values, dtype=float)
    ordered = np.sort(ordered[~np.isnan(ordered)])
    if not len(ordered):
        return float("nan")
    low, high = float(ordered[(len(ordered) - 1) // 2]), float(ordered[len(ordered) // 2])
    return low if low == high else (low + high) / 2


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion: its lower and its upper end.

    >>> low, high = wilson(3, 5)
    >>> round(low, 3), round(high, 3)
    (0.231, 0.882)

    Reference: Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    interval = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)
