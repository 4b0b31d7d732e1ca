"""Scales: how a quantity is summarised over seeds and compared, one way wherever it is told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

import numpy as np

from gradscope.results import statistics
from gradscope.results.statistics import Estimate


@dataclass(frozen=True)
class Sample:
    """One value of a quantity for each seed.

    Attributes:
        values: seed to value; NaN where it is not known, inf where it is only known to exceed the
            seed's bound.
        bounds: seed to how long it was watched, for durations alone.
    """

    values: Mapping[int, float]
    bounds: Mapping[int, float] = field(default_factory=dict)

    def bound(self, seed: int) -> float:
        """How long a seed was watched; inf where nothing bounds it."""
        return self.bounds.get(seed, math.inf)

    @cached_property
    def seeds(self) -> list[int]:
        """Those whose value is known."""
        return [seed for seed, value in self.values.items() if not math.isnan(value)]


class Scale(Enum):
    """How a quantity's values over seeds become one, and what a comparison says of two.

    Members:
        MEAN: the mean with Student's t interval; compared by their difference.
        FRACTION: the same, its interval within 0 and 1.
        GEOMETRIC: the geometric mean with Student's t interval of the logarithms; compared by their
            ratio.
        DURATION: Kaplan and Meier's median with the interval of order statistics; compared by the
            difference of the times up to the bound that both were watched for (restricted mean).
        SHARE: of seeds, with Clopper and Pearson's interval; compared by their difference.
        COUNT: the sum, which is exact.
        FACT: the median of what is one and the same for all.
    """

    MEAN = "mean"
    FRACTION = "fraction"
    GEOMETRIC = "geometric"
    DURATION = "duration"
    SHARE = "share"
    COUNT = "count"
    FACT = "fact"

    @property
    def has_interval(self) -> bool:
        """Whether there is one."""
        return self not in (Scale.COUNT, Scale.FACT)

    @property
    def is_ratio(self) -> bool:
        """Whether two are compared by their ratio."""
        return self is Scale.GEOMETRIC

    def level(self, n: int) -> float:
        """The level of the interval over n seeds."""
        return statistics.order(n)[1] if self is Scale.DURATION and n > 1 else statistics.LEVEL

    def estimate(self, sample: Sample) -> Estimate:
        """One value of all seeds, with its interval."""
        values = list(sample.values.values())
        match self:
            case Scale.MEAN:
                return statistics.mean(values)
            case Scale.FRACTION:
                return _within(statistics.mean(values), 0.0, 1.0)
            case Scale.GEOMETRIC:
                return statistics.geometric_mean(values)
            case Scale.DURATION:
                bounds = [sample.bound(seed) for seed in sample.values]
                return statistics.survival_median(values, bounds)
            case Scale.SHARE:
                kept = statistics.known(values)
                return statistics.share(int(kept.sum()), len(kept))
            case Scale.COUNT:
                kept = statistics.known(values)
                return Estimate(float(kept.sum()), n=len(kept))
            case Scale.FACT:
                return Estimate(statistics.median(values), n=len(statistics.known(values)))

    def centre(self, values: Sequence[float] | np.ndarray) -> float:
        """The centre of plain values, none of them censored."""
        return self.estimate(Sample(dict(enumerate(values)))).centre

    def comparable(self, sample: Sample, seed: int, bound: float = math.inf) -> float:
        """A seed's value such that two are compared by their difference.

        A logarithm for what is compared by ratios; a duration no longer than ``bound``, and so the
        same for all that are only known to exceed it.

        Reference: Royston and Parmar (2013), Restricted mean survival time.
        """
        value = sample.values[seed]
        if self is Scale.DURATION:
            value = min(value, sample.bound(seed), bound)
        return float(statistics.logarithms([value])[0]) if self.is_ratio else value


def _within(estimate: Estimate, least: float, greatest: float) -> Estimate:
    """The same estimate, its interval cut off where no value can be."""
    low, high = max(estimate.low, least), min(estimate.high, greatest)
    if not estimate.bounded:
        return estimate
    return Estimate(estimate.centre, low, high, estimate.n, estimate.level, estimate.censored)
