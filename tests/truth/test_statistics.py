"""Intervals cover and tests err as often as they say, by simulation at 3, 5 and 10 seeds.

2,000 repetitions each: a coverage of 95% is then met to within 1.5 (three standard errors of 0.5).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from gradscope.results.comparisons import compare
from gradscope.results.effects import effects
from gradscope.results.scales import Sample, Scale
from gradscope.results.statistics import (
    Estimate,
    geometric_mean,
    holm,
    mean,
    middle,
    order,
    share,
    survival_median,
)
from gradscope.results.yardstick import yardstick
from tests.results.conftest import swept

REPETITIONS = 2000
SEEDS = [3, 5, 10]
#: three standard errors of a frequency near 95%
MARGIN = 3 * math.sqrt(0.05 * 0.95 / REPETITIONS)

slow = pytest.mark.slow


def frequency(of: Callable[[np.random.Generator], bool]) -> float:
    generator = np.random.default_rng(20)
    return sum(of(generator) for _ in range(REPETITIONS)) / REPETITIONS


def holds(estimate: Estimate, truth: float) -> bool:
    return estimate.low <= truth <= estimate.high


def of(values: np.ndarray, bound: float = math.inf) -> Sample:
    """A sample of seeds 0, 1, ...; what exceeds the bound is censored there."""
    seen = np.where(values <= bound, values, np.inf)
    bounds = {} if bound == math.inf else dict.fromkeys(range(len(values)), bound)
    return Sample(dict(enumerate(seen.tolist())), bounds)


@slow
@pytest.mark.parametrize("n", SEEDS)
def test_the_mean_of_normal_values(n):
    covered = frequency(lambda g: holds(mean(g.normal(3.0, 2.0, n)), 3.0))
    assert covered == pytest.approx(0.95, abs=MARGIN)


@slow
@pytest.mark.parametrize("n", SEEDS)
@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0])
def test_the_geometric_mean_of_skewed_values(n, spread):
    """Losses that differ by factors; at a spread of 3 by hundreds."""
    covered = frequency(lambda g: holds(geometric_mean(g.lognormal(-2, spread, n)), math.exp(-2)))
    assert covered == pytest.approx(0.95, abs=MARGIN)


@slow
@pytest.mark.parametrize("n", SEEDS)
@pytest.mark.parametrize("skew", [0.0, 1.0])
def test_the_median_whatever_the_distribution(n, skew):
    """The level that is said is exact for every continuous distribution, normal or skewed."""

    def drawn(generator: np.random.Generator) -> np.ndarray:
        values = generator.normal(0.0, 1.0, n)
        return np.exp(values) if skew else values

    covered = frequency(lambda g: holds(middle(drawn(g)), float(skew)))
    assert covered == pytest.approx(order(n)[1], abs=MARGIN * 2)


@slow
@pytest.mark.parametrize("n", SEEDS)
@pytest.mark.parametrize("bounds", [(1.5, 1.5), (0.2, 3.0)])
def test_the_median_of_censored_durations(n, bounds):
    """Exponential times of median ln 2, watched until a common bound or each until its own."""

    def covers(generator: np.random.Generator) -> bool:
        times, watched = generator.exponential(1.0, n), generator.uniform(*bounds, n)
        return holds(
            survival_median(np.where(times <= watched, times, np.inf), watched), math.log(2)
        )

    assert frequency(covers) >= order(n)[1] - 2 * MARGIN


@pytest.mark.parametrize("n", SEEDS)
def test_a_share_covers_at_every_probability(n):
    """Exactly, by adding up the binomial probabilities of the counts whose interval holds it."""
    found = [share(k, n) for k in range(n + 1)]
    for p in np.linspace(0, 1, 401):
        weights = [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
        covered = sum(w for w, e in zip(weights, found, strict=True) if holds(e, float(p)))
        assert covered >= 0.95


@slow
@pytest.mark.parametrize("n", SEEDS)
def test_paired_ratios_cover(n):
    """Seeds that differ by tens, and a true ratio of 2 within each."""

    def covers(generator: np.random.Generator) -> bool:
        easy = generator.lognormal(0, 3, n)
        first, second = (easy * generator.lognormal(0, 0.3, n) for _ in range(2))
        return holds(compare(Scale.GEOMETRIC, of(2 * first), of(second)).effect, 2.0)

    assert frequency(covers) == pytest.approx(0.95, abs=MARGIN)


@slow
@pytest.mark.parametrize("n", SEEDS)
@pytest.mark.parametrize("ratio", [1.0, 4.0])
def test_unpaired_differences_cover(n, ratio):
    """Welch's t is approximate: of 3 seeds of unlike spread it may miss by a little."""

    def covers(generator: np.random.Generator) -> bool:
        second = Sample(dict(enumerate(generator.normal(0, ratio, n).tolist(), start=100)))
        return holds(compare(Scale.MEAN, of(generator.normal(1, 1, n)), second).effect, 1.0)

    assert 0.93 <= frequency(covers) <= 0.98


@slow
@pytest.mark.parametrize("n", SEEDS)
@pytest.mark.parametrize("bound", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("grid", [0.0, 0.25])
def test_durations_alike_are_rarely_told_apart(n, bound, grid):
    """Censored at a bound that most reach, or few; also where times are read off a coarse grid."""

    def wrong(generator: np.random.Generator) -> bool:
        times = generator.lognormal(0, 0.7, (2, n))
        times = np.ceil(times / grid) * grid if grid else times
        return compare(Scale.DURATION, of(times[0], bound), of(times[1], bound)).evident

    assert frequency(wrong) <= 0.05 + MARGIN


@slow
@pytest.mark.parametrize("n", SEEDS)
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_shares_alike_are_rarely_told_apart(n, p):
    def wrong(generator: np.random.Generator) -> bool:
        solved = (generator.uniform(size=(2, n)) < p).astype(float)
        return compare(Scale.SHARE, of(solved[0]), of(solved[1])).evident

    assert frequency(wrong) <= 0.05


@slow
@pytest.mark.parametrize("n", SEEDS)
def test_holm_keeps_the_rate_of_any_false_alarm(n):
    """Three comparisons among three settings alike, whose seeds are paired."""

    def wrong(generator: np.random.Generator) -> bool:
        settings = generator.normal(size=(3, n)) + generator.normal(size=n)
        pairs = [(a, b) for a in range(3) for b in range(a)]
        found = [compare(Scale.MEAN, of(settings[a]), of(settings[b])).p for a, b in pairs]
        return min(holm(found)) <= 0.05

    assert frequency(wrong) <= 0.05 + MARGIN


@slow
@pytest.mark.parametrize("seeds", [3, 5])
def test_axes_without_effect_rarely_explain_variance(seeds):
    """The F-tests of two axes and their interaction, by Holm, at 400 repetitions."""
    generator, wrong = np.random.default_rng(3), 0
    for _ in range(400):
        losses = {
            (a, b, seed): float(generator.lognormal(0, 0.5)) + 0.1
            for a in "xy"
            for b in "pqr"
            for seed in range(seeds)
        }
        tables = swept(("first", "second"), losses)
        wrong += bool((effects(tables, yardstick(tables))["p"] <= 0.05).any())
    assert wrong / 400 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)
