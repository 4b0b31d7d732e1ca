"""Medians that keep infinities, and Wilson's interval."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradscope.results.statistics import STRONG, median, wilson


def test_wilson_interval_against_the_formula():
    """(p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), z = 1.959964."""
    z, n, p = 1.959963984540054, 5, 0.6
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = ((centre + sign * half) / (1 + z * z / n) for sign in (-1, 1))
    assert wilson(3, 5) == pytest.approx((low, high))
    assert wilson(0, 3)[0] == 0


@given(st.integers(1, 200), st.data())
def test_wilson_holds_the_share_and_mirrors(trials, data):
    successes = data.draw(st.integers(0, trials))
    low, high = wilson(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1
    assert wilson(trials - successes, trials) == pytest.approx((1 - high, 1 - low))
    narrow = wilson(successes, trials, 0.5)
    assert low <= narrow[0] <= narrow[1] <= high


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


def test_strong_is_a_factor_of_a_thousand():
    assert math.exp(STRONG) == pytest.approx(1000)
