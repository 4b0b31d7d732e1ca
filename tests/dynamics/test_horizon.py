"""The memory horizon."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradscope.dynamics import memory_horizon

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
    ("lags", "values"),
    [
        ([0, 1], [0, -1]),
        ([1, 2, 3], [0, -1, -2]),
        ([0, 1, 2], [-np.inf, 0, 0]),
        ([0, 2, 1], [0, 1, 2]),
    ],
)
def test_bad_input(lags, values):
    with pytest.raises(ValueError, match="three points or more"):
        memory_horizon(lags, values)


@pytest.mark.parametrize("tau", [3.0, 40.0])
def test_exponential_law_is_preferred_and_its_interval_holds_the_truth(tau):
    rng = np.random.default_rng(1)
    found = memory_horizon(LAGS, -LAGS / tau + np.r_[0, 0.02 * rng.standard_normal(50)])
    assert found.law == "exponential"
    low, high = found.fits[0].intervals["tau"]
    assert low < tau < high
    assert high / low < 1.2


def test_power_law_is_preferred_and_its_interval_holds_the_truth():
    rng = np.random.default_rng(2)
    found = memory_horizon(LAGS, -1.7 * np.log1p(LAGS) + np.r_[0, 0.03 * rng.standard_normal(50)])
    assert found.law == "power"
    low, high = found.fits[0].intervals["alpha"]
    assert low < 1.7 < high
    assert found.fits[0].horizon == pytest.approx(np.expm1(1 / 1.7), rel=0.1)


def test_stretched_law_is_preferred_and_its_interval_holds_the_truth():
    rng = np.random.default_rng(3)
    found = memory_horizon(LAGS, -((LAGS / 8) ** 0.5) + np.r_[0, 0.005 * rng.standard_normal(50)])
    assert found.law == "stretched"
    (tau_low, tau_high), (low, high) = (
        found.fits[0].intervals["tau"],
        found.fits[0].intervals["beta"],
    )
    assert tau_low < 8 < tau_high
    assert low < 0.5 < high
    assert found.lag == pytest.approx(8, rel=0.1)


def test_says_when_no_law_fits():
    steps = np.where(LAGS < 25, 0.0, -30.0) + 3 * np.sin(LAGS)
    steps[0] = 0
    found = memory_horizon(LAGS, steps)
    assert found.fits
    assert found.law == "none"


def test_a_slow_power_law_is_extrapolated_by_its_own_law():
    """An exponential through the same points would put the horizon far too near."""
    found = memory_horizon(LAGS, -0.2 * np.log1p(LAGS))
    assert (found.kind, found.law) == ("extrapolated", "power")
    assert found.lag == pytest.approx(np.expm1(5), rel=1e-3)


def test_a_series_sunk_to_a_floor_is_not_called_exponential():
    """A float32 series that has sunk to a subnormal and stays there."""
    series = np.maximum(-LAGS * 4.0, -103.28)
    found = memory_horizon(LAGS, series)
    assert found.lag == pytest.approx(0.25)
    exponential = next(fit for fit in found.fits if fit.law == "exponential")
    assert exponential.residual > 10


def test_few_points_leave_out_laws_with_too_many_parameters():
    assert {fit.law for fit in memory_horizon([0, 1, 2, 3], [0, -1, -2, -3.1]).fits} == {
        "exponential",
        "power",
    }
