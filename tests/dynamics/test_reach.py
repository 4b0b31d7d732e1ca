"""Mean lag and effective context."""

import numpy as np
import pytest

import gradscope
from gradscope.dynamics.reach import Reach, twice_as_long
from gradscope.errors import GradscopeError

LAGS = np.arange(200.0)


def test_of_one_lag_they_are_that_lag():
    series = np.where(LAGS == 7, -900.0, -np.inf)  # below what a float holds
    assert gradscope.temporal_range(LAGS, series) == 7
    assert gradscope.effective_context(LAGS, series) == 7


def test_of_a_geometric_series():
    r = 0.9
    assert gradscope.temporal_range(LAGS, LAGS * np.log(r)) == pytest.approx(r / (1 - r), rel=1e-6)
    # 1 - r^(L+1) >= share
    for share in (0.5, 0.9, 0.99):
        expected = np.ceil(np.log(1 - share) / np.log(r)) - 1
        assert gradscope.effective_context(LAGS, LAGS * np.log(r), share) == expected


def test_of_a_level_profile_they_are_shares_of_its_length():
    assert gradscope.temporal_range(LAGS, np.full(200, 3.0)) == pytest.approx(99.5)
    assert gradscope.effective_context(LAGS, np.full(200, 3.0)) == 179


def test_a_scale_changes_nothing():
    series = np.random.default_rng(0).normal(size=200)
    assert gradscope.temporal_range(LAGS, series) == pytest.approx(
        gradscope.temporal_range(LAGS, series - 2000)
    )


def test_of_nothing_they_are_not_known():
    nothing = np.full(200, -np.inf)
    assert np.isnan(gradscope.temporal_range(LAGS, nothing))
    assert np.isnan(gradscope.effective_context(LAGS, nothing))


def test_a_share_is_between_0_and_1():
    with pytest.raises(GradscopeError, match=r"share=1\.5: should be between 0 and 1"):
        gradscope.effective_context(LAGS, np.zeros(200), 1.5)


def test_carried_on_a_power_law_stays_one():
    lags, series = twice_as_long(LAGS, -0.7 * np.log1p(LAGS))
    assert lags.tolist() == list(range(399))
    np.testing.assert_allclose(series, -0.7 * np.log1p(lags), atol=1e-9)


def test_carried_on_a_rise_is_level_and_a_zero_stays():
    assert np.ptp(twice_as_long(LAGS, 0.1 * LAGS)[1][200:]) == 0
    ended = np.where(LAGS < 50, 0.0, -np.inf)
    assert np.isneginf(twice_as_long(LAGS, ended)[1][50:]).all()
    assert len(twice_as_long(LAGS[:1], np.zeros(1))[0]) == 1


def test_in_words():
    assert str(Reach(12.345, (11.9, 12.7), 95, False)) == "12.3 steps (11.9 to 12.7)"
    assert str(Reach(12.0, (np.nan, np.nan), 95, False)) == "12 steps"
    assert str(Reach(95.0, (90.0, 95.0), 95, True)) == "> 95 steps"
    assert str(Reach(np.nan, (np.nan, np.nan), 95, False)) == "not known, as all is zero"
