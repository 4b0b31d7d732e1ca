"""Estimates from few trials, each with an interval that covers and says at which level.

Every function leaves NaN out and says how many values are left. Of one value there is no interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

#: ln of the factor, a thousand, beyond which a gradient is said to vanish or to explode
STRONG = math.log(1e3)
#: of every interval, unless it says another
LEVEL = 0.95
#: spread, relative to the values' size, that is rounding and no spread
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Estimate:
    """What several values say of a quantity.

    Attributes:
        centre: the estimate; NaN where nothing is known.
        low: lower end of the interval; NaN where there is none.
        high: upper end; inf where it is not bounded.
        n: how many values it is of.
        level: the interval's.
        censored: whether the quantity is only known to lie beyond ``centre``.
    """

    centre: float
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    level: float = LEVEL
    censored: bool = False

    def __post_init__(self) -> None:
        for name in ("centre", "low", "high"):  # plain numbers, whatever they were computed with
            object.__setattr__(self, name, float(getattr(self, name)))

    @property
    def bounded(self) -> bool:
        """Whether there is an interval."""
        return not math.isnan(self.low)

    def excludes(self, value: float) -> bool:
        """Whether the interval lies on one side of a value; an interval below 95% excludes none."""
        return self.level >= LEVEL and (self.low > value or self.high < value)


def known(values: ArrayLike) -> NDArray[np.float64]:
    """The values that are not NaN."""
    array = np.asarray(values, dtype=float)
    return array[~np.isnan(array)]


def median(values: ArrayLike) -> float:
    """The median of what is not NaN; infinities count as values; NaN where nothing is left.

    With an even number of values it is the mean of the middle two: an infinity if one of them is
    infinite, NaN if they are both infinities of opposite signs.

    >>> median([-math.inf, -math.inf, 0.0])
    -inf
    """
    ordered = np.sort(known(values))
    if not len(ordered):
        return float("nan")
    low, high = float(ordered[(len(ordered) - 1) // 2]), float(ordered[len(ordered) // 2])
    return low if low == high else (low + high) / 2


def spreads(values: NDArray[np.float64]) -> bool:
    """Whether values are finite and differ by more than rounding, so that Student's t is of use."""
    if len(values) < 2 or not np.isfinite(values).all():
        return False
    return float(np.ptp(values)) > _ROUNDING * float(np.abs(values).max())


def mean(values: ArrayLike) -> Estimate:
    """The mean with Student's t interval, m -+ t_{n-1} s / sqrt(n).

    It covers as it says for normal values, and for others the better the more there are; values
    that are positive and skewed go through their logarithms (``geometric_mean``). Where t is of no
    use, because a value is infinite or all are alike, it is the median with the interval of
    ``middle`` if that reaches 95%, which takes six values.

    >>> estimate = mean([1.0, 2.0, 3.0])
    >>> round(estimate.low, 2), estimate.centre, round(estimate.high, 2)
    (-0.48, 2.0, 4.48)

    Reference: Student (1908), The probable error of a mean.
    """
    kept = known(values)
    count = len(kept)
    if spreads(kept):
        half = student_quantile(count - 1) * float(kept.std(ddof=1)) / math.sqrt(count)
        centre = float(kept.mean())
        return Estimate(centre, centre - half, centre + half, count)
    estimate = middle(kept)
    if estimate.level < LEVEL:
        return Estimate(estimate.centre, n=count)
    return estimate


def geometric_mean(values: ArrayLike) -> Estimate:
    """The geometric mean with Student's t interval of the logarithms.

    For positive values that differ by factors, such as losses: it covers as it says for lognormal
    ones. A zero is -inf there, see ``mean``; a negative value is not known.

    >>> round(geometric_mean([1.0, 100.0]).centre, 9)
    10.0
    """
    logs = mean(logarithms(values))
    centre, low, high = (safe_exp(value) for value in (logs.centre, logs.low, logs.high))
    return Estimate(centre, low, high, logs.n, logs.level)


def logarithms(values: ArrayLike) -> NDArray[np.float64]:
    """Natural logarithms: -inf of 0, NaN of what is negative or not known."""
    array = np.asarray(values, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(array)


def safe_exp(value: float) -> float:
    """e^value; inf where it leaves the range of numbers."""
    return math.exp(value) if not value > 709 else math.inf


@lru_cache(maxsize=1024)
def share(successes: int, trials: int, level: float = LEVEL) -> Estimate:
    """A share with the exact interval of Clopper and Pearson.

    It covers at least as it says, whatever the share and however few the trials.

    >>> estimate = share(3, 3)
    >>> round(estimate.low, 3), estimate.high
    (0.292, 1.0)

    Reference: Clopper and Pearson (1934), The use of confidence or fiducial limits.
    """
    if trials == 0:
        return Estimate(math.nan, level=level)
    tail, failures = (1 - level) / 2, trials - successes
    low = special.betaincinv(successes, failures + 1, tail) if successes else 0.0
    high = special.betainccinv(successes + 1, failures, tail) if failures else 1.0
    return Estimate(successes / trials, float(low), float(high), trials, level)


def middle(values: ArrayLike) -> Estimate:
    """The median with the interval between two order statistics: the k-th least and greatest.

    P(x_(k) <= median <= x_(n-k+1)) = 1 - 2 P(Binomial(n, 1/2) < k), whatever the distribution. k is
    the greatest with 95% or more; under six values there is none, and the interval is the range
    with the level that it has: 50, 75, 87.5 and 93.75% for 2, 3, 4 and 5. Infinities count as
    values.

    >>> middle([3.0, 1.0, 2.0])
    Estimate(centre=2.0, low=1.0, high=3.0, n=3, level=0.75, censored=False)

    Reference: Conover (1999), Practical nonparametric statistics, section 3.2.
    """
    return survival_median(known(values), None)


@lru_cache(maxsize=256)
def order(n: int) -> tuple[int, float]:
    """(k, level) of the order statistics that bound a median of n values, see ``middle``."""
    k = 1
    while 2 * special.bdtr(k, n, 0.5) <= 1 - LEVEL:
        k += 1
    return k, float(1 - 2 * special.bdtr(k - 1, n, 0.5))


def survival_median(values: ArrayLike, bounds: ArrayLike | None) -> Estimate:
    """The median of durations of which some are only known to exceed a bound: Kaplan-Meier's.

    The time at which the estimated share that lasts longer falls to a half; between two times if it
    is a half on the whole way. Where it stays above, the median is censored at the longest time.
    The interval is that of ``middle``: its lower end of the durations with the censored ones taken
    at their bounds, its upper end with them taken as infinite, so that it covers whatever they are.

    >>> survival_median([400.0, math.inf, math.inf], [1500.0, 1500.0, 1500.0])
    Estimate(centre=1500.0, low=400.0, high=inf, n=3, level=0.75, censored=True)

    Args:
        values: durations; inf where only the bound is known, NaN where nothing is.
        bounds: how long each was watched; None if nothing is censored, infinities being values.

    Reference: Kaplan and Meier (1958), Nonparametric estimation from incomplete observations.
    """
    durations = np.asarray(values, dtype=float)
    last = durations if bounds is None else np.asarray(bounds, dtype=float)
    there = ~np.isnan(durations)
    durations, last = durations[there], last[there]
    count = len(durations)
    if not count:
        return Estimate(math.nan)
    seen = np.ones(count, dtype=bool) if bounds is None else np.isfinite(durations)
    times = np.where(seen, durations, last)
    centre, censored = (median(times), False) if seen.all() else _kaplan_meier(times, seen)
    if count == 1:
        return Estimate(centre, n=1, censored=censored)
    k, level = order(count)
    low, high = np.sort(times)[k - 1], np.sort(durations)[count - k]
    return Estimate(centre, low, high, count, level, censored)


def _kaplan_meier(times: NDArray[np.float64], seen: NDArray[np.bool_]) -> tuple[float, bool]:
    """The median, and whether it is only known to lie beyond."""
    longest = float(times.max())
    if not seen.any():
        return longest, True
    place = np.lexsort((~seen, times))  # of one time, what ends there before what lasts longer
    at, ends = times[place], seen[place]
    lasting = np.cumprod(1 - ends / np.arange(len(at), 0, -1))
    half, below = at[lasting <= 0.5 + 1e-12], at[lasting < 0.5 - 1e-12]
    if not len(half):
        return longest, True
    return float((half[0] + (below[0] if len(below) else longest)) / 2), not len(below)


def sign_test(differences: ArrayLike) -> float:
    """The two-sided p of as many differences above as below 0; differences of 0 count for neither.

    Exact, and of use where Student's t is not: for infinities and for differences all alike.

    >>> sign_test([-1.0, -1.0, -1.0])
    0.25
    """
    kept = known(differences)
    above, below = int((kept > 0).sum()), int((kept < 0).sum())
    return _binomial_p(above, above + below)


@lru_cache(maxsize=1024)
def _binomial_p(successes: int, trials: int) -> float:
    """The two-sided p of so many successes where one is as likely as not."""
    fewer = min(successes, trials - successes)
    return min(1.0, 2 * float(special.bdtr(fewer, trials, 0.5))) if trials else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values of several comparisons, corrected so that one false alarm in any is as rare as p.

    NaN stays NaN and is not counted.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]

    Reference: Holm (1979), A simple sequentially rejective multiple test procedure.
    """
    places = [place for place, p in enumerate(p_values) if not math.isnan(p)]
    places.sort(key=lambda place: p_values[place])
    corrected, least = [math.nan] * len(p_values), 0.0
    for rank, place in enumerate(places):
        least = max(least, min(1.0, (len(places) - rank) * p_values[place]))
        corrected[place] = least
    return corrected


def student_p(t: float, freedom: float | int) -> float:
    """The two-sided p of Student's t."""
    return float(2 * special.stdtr(freedom, -abs(t)))


def student_quantile(freedom: float | int) -> float:
    """Student's t that 95% of the absolute values stay under."""
    return float(special.stdtrit(freedom, (1 + LEVEL) / 2))
