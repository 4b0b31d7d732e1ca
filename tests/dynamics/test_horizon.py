"""The memory horizon."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradscope import memory_horizon

LAGS = np.arange(51)


@given(st.floats(0.5, 40), st.floats(-800, 800))
def test_of_an_exponential_is_its_time_constant(tau, offset):
    found = memory_horizon(LAGS, offset - LAGS / tau)
    assert found.lag == pytest.approx(tau, rel=1e-6, abs=1e-6)
    assert found.kind == "measured"
    assert found.rate == pytest.approx(-1 / tau, rel=1e-6)


def test_beyond_the_data_it_is_extrapolated_from_the_fit():
    found = memory_horizon(LAGS, -LAGS / 200)
    assert found.kind == "extrapolated"
    assert found.lag == pytest.approx(200)


@pytest.mark.parametrize("series", [np.zeros(51), LAGS * 0.1, 1e-14 * np.sin(LAGS)])
def test_constant_or_growing_is_infinite(series):
    assert memory_horizon(LAGS, series).lag == np.inf
    assert memory_horizon(LAGS, series).kind == "infinite"


def test_noise_without_a_trend_is_infinite():
    noise = 0.1 * np.random.default_rng(0).standard_normal(51)
    noise[0] = 0
    assert memory_horizon(LAGS, noise).kind == "infinite"


def test_nilpotent_has_a_finite_support():
    series = np.where(LAGS < 6, LAGS * 1.1, -np.inf)
    found = memory_horizon(LAGS, series)
    assert (found.lag, found.kind) == (6, "finite support")
    assert found.rate == pytest.approx(1.1)


def test_a_passing_dip_does_not_count():
    series = -LAGS / 30
    series[5] = -4
    assert memory_horizon(LAGS, series).lag == pytest.approx(30)


def test_dead_from_the_first_step():
    found = memory_horizon(LAGS, np.where(LAGS == 0, 0.0, -np.inf))
    assert (found.lag, found.kind) == (1, "finite support")


@pytest.mark.parametrize(
    ("lags", "values"), [([0, 1], [0, -1]), ([1, 2, 3], [0, -1, -2]), ([0, 1, 2], [-np.inf, 0, 0]), ([0, 2, 1], [0, 1, 2])]
)
def test_bad_input(lags, values):
    with pytest.raises(ValueError, match="three points or more"):
        memory_horizon(lags, values)
