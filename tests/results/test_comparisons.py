"""Comparisons, paired and not, against scipy's tests and by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from gradscope.results.comparisons import compare, compare_blocks
from gradscope.results.scales import Sample, Scale

FIRST, SECOND = [0.10, 0.13, 0.09, 0.20], [0.21, 0.22, 0.25, 0.31]


def sample(values, seeds=None, bound=math.inf) -> Sample:
    seeds = range(len(values)) if seeds is None else seeds
    by_seed = dict(zip(seeds, map(float, values), strict=True))
    return Sample(by_seed, dict.fromkeys(by_seed, float(bound)) if bound < math.inf else {})


def test_paired_differences_are_scipys_t_test():
    found = compare(Scale.MEAN, sample(FIRST), sample(SECOND))
    expected = stats.ttest_rel(FIRST, SECOND)
    interval = expected.confidence_interval()
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.effect.low, found.effect.high) == pytest.approx((interval.low, interval.high))
    assert (found.paired, found.seeds, found.sign, found.evident) == (True, (4, 4), -1, True)


def test_ratios_are_differences_of_logarithms():
    found = compare(Scale.GEOMETRIC, sample(FIRST), sample(SECOND))
    expected = stats.ttest_rel(np.log(FIRST), np.log(SECOND))
    interval = expected.confidence_interval()
    assert found.p == pytest.approx(expected.pvalue)
    ends = math.exp(interval.low), math.exp(interval.high)
    assert (found.effect.low, found.effect.high) == pytest.approx(ends)
    assert found.effect.centre == pytest.approx(stats.gmean(np.divide(FIRST, SECOND)))


def test_seeds_are_paired_by_their_number_and_not_by_their_order():
    shuffled = Sample({seed: SECOND[seed] for seed in (3, 0, 2, 1)})
    assert compare(Scale.MEAN, sample(FIRST), shuffled) == compare(
        Scale.MEAN, sample(FIRST), sample(SECOND)
    )


@pytest.mark.parametrize("seeds", [[4, 5, 6, 7], [3, 5, 6, 7]])
def test_without_two_common_seeds_it_is_welchs_t_test(seeds):
    found = compare(Scale.MEAN, sample(FIRST), sample(SECOND, seeds))
    expected = stats.ttest_ind(FIRST, SECOND, equal_var=False)
    interval = expected.confidence_interval()
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.effect.low, found.effect.high) == pytest.approx((interval.low, interval.high))
    assert (found.paired, found.seeds, dict(found.differences)) == (False, (4, 4), {})


def test_with_two_common_seeds_those_alone_are_compared():
    found = compare(Scale.MEAN, sample(FIRST), sample([*SECOND[2:], 9.0], [2, 3, 8]))
    assert (found.paired, found.seeds) == (True, (2, 2))
    assert found.effect.centre == pytest.approx((0.09 - 0.25 + 0.20 - 0.31) / 2)


def test_one_seed_says_nothing_of_chance():
    for seed in (0, 1):
        found = compare(Scale.MEAN, sample([1.0]), sample([2.0], [seed]))
        assert (found.effect.centre, found.sign) == (-1.0, -1)
        assert math.isnan(found.p)
        assert not found.evident
        assert not found.effect.bounded


def test_differences_all_alike_are_left_to_the_sign_test():
    found = compare(Scale.MEAN, sample([1.0, 2.0, 3.0]), sample([2.0, 3.0, 4.0]))
    assert (found.effect.centre, found.p, found.evident) == (-1.0, 0.25, False)
    many = compare(Scale.MEAN, sample(range(6)), sample(range(1, 7)))
    assert many.p == pytest.approx(2 / 64)
    assert many.evident
    same = compare(Scale.MEAN, sample([1.0, 2.0]), sample([1.0, 2.0]))
    assert (same.effect.centre, same.p, same.sign) == (0.0, 1.0, 0)


def test_infinities_are_compared_too():
    found = compare(Scale.MEAN, sample([-math.inf] * 3), sample([-math.inf, -1.0, -2.0]))
    assert (found.effect.centre, found.sign) == (-math.inf, -1)
    assert dict(found.differences) == {0: 0.0, 1: -math.inf, 2: -math.inf}
    assert found.p == 0.5


def test_what_is_not_known_is_left_out():
    found = compare(Scale.MEAN, sample([math.nan, 1.0, 2.0]), sample([5.0, 2.0, 3.5]))
    assert found.seeds == (2, 2)
    nothing = compare(Scale.MEAN, sample([math.nan]), sample([1.0]))
    assert math.isnan(nothing.effect.centre)
    assert nothing.sign == 0


def test_durations_are_compared_up_to_the_bound_of_both():
    """300 against more than 500 is at least 200 less; and a bound of 200 ends both there."""
    steps, unsolved = sample([300, 320, 310], bound=500), sample([math.inf] * 3, bound=500)
    found = compare(Scale.DURATION, steps, unsolved)
    assert found.effect.centre == pytest.approx(-190.0)
    assert found.censored == (False, True)
    assert found.evident
    shorter = compare(Scale.DURATION, steps, sample([math.inf] * 3, bound=200))
    assert shorter.effect.centre == 0.0
    apart = compare(Scale.DURATION, steps, sample([math.inf] * 3, [7, 8, 9], bound=500))
    assert apart.effect.centre == pytest.approx(-190.0)


def test_blocks_of_one_seed_are_averaged_and_count_once():
    blocks = [(sample([1.0, 2.0]), sample([2.0, 4.0])), (sample([5.0, 7.0]), sample([8.0, 8.0]))]
    found = compare_blocks(Scale.MEAN, blocks)
    assert dict(found.differences) == {0: -2.0, 1: -1.5}
    assert found.seeds == (2, 2)
    expected = stats.ttest_1samp([-2.0, -1.5], 0)
    assert found.p == pytest.approx(expected.pvalue)


def test_a_block_that_a_seed_has_not_is_left_out():
    blocks = [(sample([1.0, 2.0]), sample([2.0, 4.0])), (sample([5.0]), sample([8.0]))]
    assert dict(compare_blocks(Scale.MEAN, blocks).differences) == {0: -2.0, 1: -2.0}


@pytest.mark.parametrize(("n", "evident"), [(3, False), (5, False), (7, True)])
def test_shares_differ_where_their_exact_intervals_do_not_meet(n, evident):
    """All of n against none: the ends are 0.0125^(1/n) and 1 - 0.0125^(1/n)."""
    found = compare(Scale.SHARE, sample([1.0] * n), sample([0.0] * n))
    end = 0.0125 ** (1 / n)
    assert found.effect.centre == 1.0
    assert (found.effect.low, found.effect.high) == pytest.approx((2 * end - 1, 1.0))
    assert found.evident is evident
