"""Estimates of few values, each against its formula or a closed form."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gradscope.results.statistics import (
    STRONG,
    Estimate,
    geometric_mean,
    holm,
    mean,
    median,
    middle,
    order,
    share,
    sign_test,
    student_p,
    student_quantile,
    survival_median,
)

# --- medians --------------------------------------------------------------------------------------


def test_median_keeps_infinities():
    assert median(pd.Series([-np.inf, -np.inf, 0.0])) == -np.inf
    assert median(pd.Series([-np.inf, 1.0, 3.0, np.nan])) == 1.0
    assert math.isnan(median(pd.Series([], dtype=float)))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([-math.inf, -math.inf], -math.inf),
        ([math.inf, math.inf, 1.0, 2.0], math.inf),
        ([1.0, math.inf], math.inf),
        ([-math.inf, 1.0], -math.inf),
        ([1.0, 2.0], 1.5),
        ([7], 7.0),
    ],
)
def test_median_between_two(values, expected):
    assert median(values) == expected


@pytest.mark.parametrize("values", [[-math.inf, math.inf], [math.nan], [math.nan, math.nan], []])
def test_a_median_that_is_not_known(values):
    assert math.isnan(median(values))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.integers(0, 3))
def test_median_of_finite_values_is_numpys(values, unknown):
    assert median([*values, *[math.nan] * unknown]) == pytest.approx(np.median(values))


def test_order_statistics_bound_a_median_by_the_binomial_distribution():
    """1 - 2 P(fewer than k of n fair coins), and no greater k would do."""
    for n in range(2, 40):
        k, level = order(n)
        below = [math.comb(n, i) / 2**n for i in range(k)]
        assert level == pytest.approx(1 - 2 * sum(below))
        assert level >= 0.95 or k == 1
        assert 1 - 2 * (sum(below) + math.comb(n, k) / 2**n) < 0.95


def test_the_interval_of_a_median():
    assert middle([5.0, 1.0, 3.0]) == Estimate(3.0, 1.0, 5.0, 3, 0.75)
    nine = middle(range(9))
    assert (nine.centre, nine.low, nine.high, nine.n) == (4.0, 1.0, 7.0, 9)
    assert middle([-math.inf, 1.0, 2.0]).low == -math.inf
    alone = middle([4.0, math.nan])
    assert (alone.centre, alone.n, alone.bounded) == (4.0, 1, False)


# --- durations ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("durations", "bounds", "centre", "censored"),
    [
        ([1.0, 2.0, 4.0], 9.0, 2.0, False),
        ([1.0, 2.0, 4.0, 8.0], 9.0, 3.0, False),  # the share left is 1/2 from 2 to 4
        ([1.0, math.inf, math.inf], 9.0, 9.0, True),
        ([1.0, 3.0, math.inf, math.inf], 9.0, 6.0, True),  # 1/2 from 3 on: above (3 + 9) / 2
        ([math.inf, math.inf], 9.0, 9.0, True),
        ([2.0, 2.0, 2.0], 9.0, 2.0, False),
        ([math.nan, 5.0], 9.0, 5.0, False),
    ],
)
def test_the_median_of_durations(durations, bounds, centre, censored):
    found = survival_median(durations, [bounds] * len(durations))
    assert (found.centre, found.censored) == (centre, censored)


def test_kaplan_and_meiers_product_by_hand():
    """Left after 1: 4/5; one leaves the study at 2; after 3: 4/5 2/3 = 8/15; after 4: 4/15."""
    durations, bounds = [1.0, math.inf, 3.0, 4.0, math.inf], [9.0, 2.0, 9.0, 9.0, 9.0]
    assert survival_median(durations, bounds).centre == 4.0


@given(st.lists(st.tuples(st.floats(1, 99), st.floats(1, 99)), min_size=2, max_size=12))
def test_the_interval_holds_the_order_statistics_of_what_the_durations_truly_were(pairs):
    """Whatever they are: censoring moves the lower end down and the upper end up."""
    true, bounds = (np.array(values) for values in zip(*pairs, strict=True))
    seen = np.where(true <= bounds, true, np.inf)
    whole, found = middle(true), survival_median(seen, bounds)
    assert found.level == whole.level
    assert found.low <= whole.low
    assert found.high >= whole.high
    assert found.low <= found.centre <= found.high


# --- means and shares -----------------------------------------------------------------------------


def test_students_interval_by_its_formula():
    """m -+ t s / sqrt(n) with t = 4.302653 for n = 3."""
    found, half = mean([1.0, 2.0, 6.0]), 4.302653 * math.sqrt(7) / math.sqrt(3)
    assert (found.centre, found.n, found.level) == (3.0, 3, 0.95)
    assert (found.low, found.high) == pytest.approx((3 - half, 3 + half), rel=1e-6)


def test_a_geometric_mean_is_the_mean_of_logarithms():
    logs = mean(np.log([0.1, 0.5, 2.0]))
    found = geometric_mean([0.1, 0.5, 2.0, math.nan])
    expected = [math.exp(value) for value in (logs.centre, logs.low, logs.high)]
    assert [found.centre, found.low, found.high] == pytest.approx(expected)
    assert found.n == 3


@pytest.mark.parametrize("values", [[2.0], [2.0, 2.0, 2.0], [2.0, 2.0 + 1e-12], [1.0, 2.0, np.inf]])
def test_where_t_is_of_no_use_there_is_no_interval(values):
    for estimate in (mean, geometric_mean):
        found = estimate(values)
        assert not found.bounded
        assert found.centre == pytest.approx(2.0)
        assert not found.excludes(1000.0)


def test_from_six_values_on_order_statistics_take_the_place_of_t():
    found = mean([-math.inf, 1.0, 2.0, 3.0, 4.0, 5.0])
    assert (found.centre, found.low, found.high) == (2.5, -math.inf, 5.0)
    assert geometric_mean([0.0, 1.0, 1.0]).centre == pytest.approx(1.0)
    assert geometric_mean([0.0, 0.0, 1.0]).centre == 0.0


def test_of_nothing_nothing_is_known():
    for estimate in (mean, geometric_mean, middle):
        found = estimate([math.nan])
        assert math.isnan(found.centre)
        assert (found.n, found.bounded) == (0, False)
    assert math.isnan(share(0, 0).centre)


@pytest.mark.parametrize("n", [1, 3, 5, 10])
def test_a_share_of_all_by_the_closed_form(n):
    """Where all succeed the lower end p has p^n = 0.025."""
    assert share(n, n).low == pytest.approx(0.025 ** (1 / n))
    assert share(n, n).high == 1.0
    assert share(0, n).high == pytest.approx(1 - 0.025 ** (1 / n))


@given(st.integers(1, 60), st.data())
def test_the_ends_of_a_share_are_where_so_few_or_so_many_are_as_rare_as_2_5_percent(trials, data):
    successes = data.draw(st.integers(0, trials))
    found = share(successes, trials)
    if successes:
        assert stats.binom.sf(successes - 1, trials, found.low) == pytest.approx(0.025, rel=1e-6)
    if successes < trials:
        assert stats.binom.cdf(successes, trials, found.high) == pytest.approx(0.025, rel=1e-6)
    mirror = share(trials - successes, trials)
    assert (mirror.low, mirror.high) == pytest.approx((1 - found.high, 1 - found.low))


def test_an_interval_excludes_what_lies_beyond_it_if_it_is_wide_enough():
    assert Estimate(2.0, 1.0, 3.0, 9).excludes(0.5)
    assert not Estimate(2.0, 1.0, 3.0, 9).excludes(1.0)
    assert not Estimate(2.0, 1.0, 3.0, 3, level=0.75).excludes(0.5)
    assert not Estimate(2.0).excludes(0.5)


# --- tests ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 5, 10])
def test_the_sign_test_counts_coins(n):
    assert sign_test([-1.0] * n) == pytest.approx(min(1.0, 2 / 2**n))
    assert sign_test([-math.inf] * n + [0.0, math.nan]) == pytest.approx(min(1.0, 2 / 2**n))
    assert sign_test([0.0] * n) == 1.0


def test_holm_by_hand():
    """The least times 4, the next times 3, ...; none below the one before."""
    assert holm([0.01, 0.3, 0.02, 0.02]) == pytest.approx([0.04, 0.3, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    found = holm([0.01, math.nan, 0.02])
    assert found[0] == pytest.approx(0.02)
    assert math.isnan(found[1])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_rejects_what_the_steps_reject(p_values):
    """The textbook: go up the ordered p while p_(i) <= 0.05 / (m - i + 1)."""
    rejected = set()
    for rank, place in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[place] * (len(p_values) - rank) > 0.05:
            break
        rejected.add(int(place))
    assert {place for place, p in enumerate(holm(p_values)) if p <= 0.05} == rejected


def test_students_t_is_scipys():
    assert student_p(2.5, 4) == pytest.approx(2 * stats.t.sf(2.5, 4))
    assert student_quantile(4) == pytest.approx(stats.t.ppf(0.975, 4))


def test_strong_is_a_factor_of_a_thousand():
    assert math.exp(STRONG) == pytest.approx(1000)
