"""Comparisons of two samples: by how much they differ, with an interval, paired by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gradscope.results import statistics
from gradscope.results.scales import Sample, Scale
from gradscope.results.statistics import LEVEL, Estimate


@dataclass(frozen=True)
class Comparison:
    """By how much a first sample differs from a second one.

    Attributes:
        effect: their ratio or difference, see ``Scale``, with its interval; its ``n`` counts the
            pairs, or the smaller sample. NaN where they cannot be compared.
        p: two-sided p-value of no effect; NaN of a single pair, and of shares.
        is_ratio: whether the effect is a ratio.
        seeds: how many seeds of the first and of the second one it rests on.
        paired: whether each seed is held against itself.
        differences: seed to difference, or logarithm of the ratio; empty if not paired.
        censored: of the first and of the second one whether some durations are only known to exceed
            their bound, and count as that bound.
    """

    effect: Estimate
    p: float
    is_ratio: bool
    seeds: tuple[int, int]
    paired: bool
    differences: Mapping[int, float]
    censored: tuple[bool, bool] = (False, False)

    @property
    def sign(self) -> int:
        """-1 where the first is less, 1 where it is more, 0 where neither is or it is not known."""
        middle = 1.0 if self.is_ratio else 0.0
        return (self.effect.centre > middle) - (self.effect.centre < middle)

    @property
    def evident(self) -> bool:
        """Whether it is beyond chance: the 95% interval excludes no effect."""
        return self.effect.excludes(1.0 if self.is_ratio else 0.0)


def compare(scale: Scale, first: Sample, second: Sample) -> Comparison:
    """Compare two samples of one quantity.

    Paired where they share two seeds or more, or all their seeds; see ``compare_blocks``.

    >>> faster = Sample({0: 100.0, 1: 110.0, 2: 95.0})
    >>> slower = Sample({0: 200.0, 1: 215.0, 2: 194.0})
    >>> found = compare(Scale.GEOMETRIC, faster, slower)
    >>> round(found.effect.centre, 2), found.seeds, found.evident
    (0.5, (3, 3), True)
    """
    return compare_blocks(scale, [(first, second)])


def compare_blocks(scale: Scale, blocks: Sequence[tuple[Sample, Sample]]) -> Comparison:
    """Compare two settings by the mean over blocks, such as the levels of the other axes.

    Within each seed the differences of its blocks are averaged first, because they share data and
    are not independent: a seed counts once. Paired, the mean difference has Student's t interval
    and p. Without two common seeds the means of the two sets of seeds are compared by Welch's t.
    Where t is of no use, see ``statistics.mean``, p is that of the sign test. A share is compared
    by the exact intervals of the two shares, at 97.5% each, whatever their dependence.

    Args:
        scale: of the quantity.
        blocks: of each the first setting's sample and the second's.

    Reference: Welch (1947), The generalization of Student's problem.
    """
    if scale is Scale.SHARE:
        return _shares(*blocks[0])
    differences: dict[int, list[float]] = {}
    sides: tuple[dict[int, list[float]], dict[int, list[float]]] = ({}, {})
    for block in blocks:
        for seed in _common_seeds(*block):
            bound = min(sample.bound(seed) for sample in block)
            a, b = (scale.comparable(sample, seed, bound) for sample in block)
            differences.setdefault(seed, []).append(0.0 if a == b else a - b)
        bound = _common_bound(*block)
        for side, sample in zip(sides, block, strict=True):
            for seed in sample.seeds:
                side.setdefault(seed, []).append(scale.comparable(sample, seed, bound))
    censored = _censored(scale, [a for a, _ in blocks]), _censored(scale, [b for _, b in blocks])
    one_by_one = {seed: float(np.mean(gaps)) for seed, gaps in differences.items()}
    if len(one_by_one) > 1 or (one_by_one and set(sides[0]) == set(sides[1])):
        return _paired(scale, one_by_one, censored)
    first, second = (np.array([float(np.mean(v)) for v in side.values()]) for side in sides)
    return _unpaired(scale, first, second, censored)


def _paired(scale: Scale, differences: dict[int, float], censored: tuple[bool, bool]) -> Comparison:
    values = np.array(list(differences.values()))
    logs, count = statistics.mean(values), len(values)
    p = math.nan
    if statistics.spreads(values):
        error = float(values.std(ddof=1)) / math.sqrt(count)
        p = statistics.student_p(float(values.mean()) / error, count - 1)
    elif count > 1:
        p = statistics.sign_test(values)
    effect = _effect(scale, logs)
    return Comparison(effect, p, scale.is_ratio, (count, count), True, differences, censored)


def _unpaired(
    scale: Scale,
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    censored: tuple[bool, bool],
) -> Comparison:
    """Welch's t; without an interval where one side is a single seed, infinite, or all alike."""
    seeds, p = (len(first), len(second)), math.nan
    if not min(seeds):
        nothing = Estimate(math.nan)
        return Comparison(nothing, p, scale.is_ratio, seeds, False, {}, censored)
    gap = statistics.mean(first).centre - statistics.mean(second).centre
    both = np.concatenate([first, second])
    gaps = Estimate(0.0 if math.isnan(gap) else gap, n=min(seeds))
    if min(seeds) > 1 and np.isfinite(both).all():
        errors = [float(side.var(ddof=1)) / len(side) for side in (first, second)]
        error = math.sqrt(sum(errors))
        if error > 1e-9 * float(np.abs(both).max()):
            weights = [e * e / (n - 1) for e, n in zip(errors, seeds, strict=True)]
            freedom = sum(errors) ** 2 / sum(weights)
            half = statistics.student_quantile(freedom) * error
            gaps = Estimate(gap, gap - half, gap + half, min(seeds))
            p = statistics.student_p(gap / error, freedom)
    return Comparison(_effect(scale, gaps), p, scale.is_ratio, seeds, False, {}, censored)


def _effect(scale: Scale, gap: Estimate) -> Estimate:
    """A difference as what the scale compares by."""
    if not scale.is_ratio:
        return gap
    centre, low, high = (statistics.safe_exp(value) for value in (gap.centre, gap.low, gap.high))
    return Estimate(centre, low, high, gap.n, gap.level)


def _shares(first: Sample, second: Sample) -> Comparison:
    """The difference of two shares, bounded by the exact intervals of both at once (Bonferroni)."""
    kept = [statistics.known(list(sample.values.values())) for sample in (first, second)]
    seeds = (len(kept[0]), len(kept[1]))
    common = _common_seeds(first, second)
    gaps = {seed: first.values[seed] - second.values[seed] for seed in common}
    level = (1 + LEVEL) / 2
    a, b = (statistics.share(int(values.sum()), len(values), level) for values in kept)
    effect = Estimate(a.centre - b.centre, a.low - b.high, a.high - b.low, min(seeds))
    return Comparison(effect, math.nan, False, seeds, set(first.seeds) == set(second.seeds), gaps)


def _common_seeds(first: Sample, second: Sample) -> list[int]:
    """The seeds whose value is known of both."""
    other = set(second.seeds)
    return [seed for seed in first.seeds if seed in other]


def _common_bound(first: Sample, second: Sample) -> float:
    """How long all seeds of both were watched at least."""
    bounds = [sample.bound(seed) for sample in (first, second) for seed in sample.seeds]
    return min(bounds, default=math.inf)


def _censored(scale: Scale, samples: Sequence[Sample]) -> bool:
    values = (value for sample in samples for value in sample.values.values())
    return scale is Scale.DURATION and any(math.isinf(value) for value in values)
