"""What several checks do with numbers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradscope.findings._statistics import below_for_good, in_words, laplace, middle

LOGS = st.floats(-1e3, 1e3) | st.just(-math.inf) | st.just(math.nan)


@given(st.lists(st.booleans(), min_size=1))
def test_laplaces_rule(shown):
    expected = (sum(shown) + 1) / (len(shown) + 2)
    assert laplace(shown) == laplace(torch.tensor(shown)) == expected


@given(st.lists(st.lists(LOGS, min_size=3, max_size=3), min_size=1, max_size=4))
def test_the_middle_is_the_lower_median_of_what_is_there(rows):
    curve = middle(np.array(rows))
    for row, value in zip(rows, curve, strict=True):
        there = sorted(entry for entry in row if not math.isnan(entry))
        if there:
            assert value == there[(len(there) - 1) // 2]
        else:
            assert math.isnan(value)


@given(st.lists(st.floats(-10, 10), min_size=1), st.floats(-10, 10))
def test_below_for_good(curve, level):
    start = below_for_good(np.array(curve), level)
    if start is None:
        assert curve[-1] >= level
    else:
        assert all(value < level for value in curve[start:])
        assert start == 0 or curve[start - 1] >= level


def test_a_curve_with_a_gap_at_the_end_is_not_below():
    assert below_for_good(np.array([-5.0, np.nan]), 0.0) is None


@pytest.mark.parametrize(
    ("log_factor", "words"),
    [
        (math.log(1000), "a factor of 1e+03"),
        (599.0, "a factor of 1.4e+260"),
        (900.0, "a factor of e^900"),
        (math.inf, "all of it"),
    ],
)
def test_factors_in_words(log_factor, words):
    assert in_words(log_factor) == words
