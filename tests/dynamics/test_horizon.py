"""The memory horizon."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradscope.dynamics import memory_horizon
from gradscope.dynamics.horizon import memory_horizons
from gradscope.errors import GradscopeError

LAGS = np.arange(51)


@given(st.floats(0.5, 40), st.floats(-800, 800))
def test_of_an_exponential_is_its_time_constant(tau, offset):
    found = memory_horizon(LAGS, offset - LAGS / tau)
    assert found.lag == pytest.approx(tau, rel=1e-6, abs=1e-6)
    assert found.kind == "reached"
    assert found.rate == pytest.approx(-1 / tau, rel=1e-6)


def test_beyond_the_data_it_is_extrapolated_from_the_fit():
    found = memory_horizon(LAGS, -LAGS / 200)
    assert found.kind == "extrapolated"
    assert found.lag == pytest.approx(200)


@pytest.mark.parametrize("series", [np.zeros(51), LAGS * 0.1, 1e-14 * np.sin(LAGS)])
def test_constant_or_growing_is_infinite(series):
    assert memory_horizon(LAGS, series).lag == np.inf
    assert memory_horizon(LAGS, series).kind == "no fall"


def test_noise_without_a_trend_is_infinite():
    noise = 0.1 * np.random.default_rng(0).standard_normal(51)
    noise[0] = 0
    assert memory_horizon(LAGS, noise).kind == "no fall"


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
        ([0, 1, 1, 2], [0, 1, 1, 2]),
        ([0, 1, 2], [0, np.nan, -1]),
    ],
)
def test_bad_input(lags, values):
    with pytest.raises(ValueError, match="three points or more") as told:
        memory_horizon(lags, values)
    assert isinstance(told.value, GradscopeError)


def test_bad_norms():
    with pytest.raises(GradscopeError, match="at lag 1 is inf"):
        memory_horizon([0, 1, 2], [0, np.inf, 1])
    with pytest.raises(GradscopeError, match="a log norm for each lag"):
        memory_horizon([0, 1, 2], [0, 1])


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


@pytest.mark.parametrize("floor", [-103.28, -90.0, -745.0])
def test_a_series_sunk_to_a_floor_is_not_bent_by_it(floor):
    """A float32 series that has sunk to a subnormal and stays there."""
    lags = np.arange(300)
    found = memory_horizon(lags, np.maximum(-lags * 4.0, floor))
    assert found.lag == pytest.approx(0.25)
    assert found.rate == pytest.approx(-4)
    assert found.fits[0].parameters["tau"] == pytest.approx(0.25)


def test_a_float32_series_that_underflows_is_not_bent_by_it():
    with np.errstate(divide="ignore"):
        series = np.log(np.exp(-3 * LAGS).astype(np.float32).astype(float))
    found = memory_horizon(LAGS, series)
    assert (found.kind, found.rate) == ("reached", pytest.approx(-3, rel=1e-5))


def test_few_points_leave_out_laws_with_too_many_parameters():
    assert {fit.law for fit in memory_horizon([0, 1, 2, 3], [0, -1, -2, -3.1]).fits} == {
        "exponential",
        "power",
    }


# --- zeros ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("period", [2, 5])
@pytest.mark.parametrize("points", [49, 50, 51])
def test_zeros_between_others_are_no_finite_support(period, points):
    """A norm that lives on each second lag, or a block of a cycle; the end may be a zero."""
    lags = LAGS[:points]
    found = memory_horizon(lags, np.where(lags % period, -np.inf, -lags / 20))
    assert (found.kind, found.lag) == ("reached", pytest.approx(20))
    assert found.rate == pytest.approx(-1 / 20)
    constant = memory_horizon(lags, np.where(lags % period, -np.inf, 0.0))
    assert (constant.kind, constant.lag) == ("no fall", np.inf)


def test_more_zeros_in_a_row_than_ever_before_are_a_finite_support():
    found = memory_horizon(LAGS, np.where((LAGS % 2 == 1) | (LAGS > 10), -np.inf, 0.0))
    assert (found.kind, found.lag) == ("finite support", 11)


def test_a_finite_support_between_spaced_lags_is_known_within_the_gap():
    found = memory_horizon([0, 1, 2, 4, 8, 16], [0, 0, 0, 0, -np.inf, -np.inf])
    assert (found.kind, found.lag, found.interval) == ("finite support", 8, (5, 8))
    assert not found.censored


# --- what is said ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("series", "words"),
    [
        (-LAGS / 12, "12.0 steps (12.0 to 12.0), exponential"),
        (-LAGS / 200, "> 50 steps (extrapolated 200, 200 to 200; exponential)"),
        (-0.2 * np.log1p(LAGS), "> 50 steps (extrapolated 147, 147 to 147; power)"),
        (0.0 * LAGS, "> 50 steps (no fall)"),
        (np.where(LAGS < 6, 0, -np.inf), "6.00 steps (finite support)"),
        (np.where(LAGS < 25, 0.0, -30.0), "24.0 steps (no law)"),
        (np.where(LAGS == 5, -4, -LAGS / 30), "30.0 steps (crosses first at 4.22; no law)"),
    ],
)
def test_words(series, words):
    assert str(memory_horizon(LAGS, series)) == words


def test_a_walk_that_might_fall_says_so():
    walk = np.cumsum(0.3 * np.random.default_rng(0).standard_normal(51))
    found = memory_horizon(LAGS, walk - walk[0])
    assert found.interval[0] < 50 < found.interval[1] == np.inf
    assert str(found).startswith("> 50 steps (no significant fall; 95% from ")


@given(
    st.sampled_from([-1.0, 0.0, 1.0]),
    st.floats(-4, 2),
    st.floats(-9, 2),
    st.sampled_from([0, 0.3, 0.8]),
    st.integers(0, 10**6),
)
def test_whatever_is_given_is_consistent(sign, slope, noise, zeros, seed):
    rng = np.random.default_rng(seed)
    lags = np.r_[0, np.sort(rng.choice(np.arange(1, 100), 15, replace=False))]
    series = sign * 10**slope * lags + 10**noise * rng.standard_normal(16)
    series[1:][rng.random(15) < zeros] = -np.inf
    found = memory_horizon(lags, series)
    assert found.interval[0] <= found.lag <= found.interval[1]
    assert found.censored == (found.kind in ("extrapolated", "no fall"))
    assert (found.lag >= found.longest) if found.censored else (found.lag <= found.longest)
    assert found.longest == lags[-1]
    assert np.isinf(found.lag) == (found.kind == "no fall")


# --- what falls -----------------------------------------------------------------------------------


def test_a_start_up_that_rises_does_not_hide_a_decay():
    """As a trained network's: up at the first step, then steadily down."""
    series = np.where(LAGS == 0, 0, 0.35 - LAGS / 5 + 0.05 * np.sin(LAGS))
    found = memory_horizon(LAGS, series)
    assert (found.kind, found.law != "none") == ("reached", True)
    assert found.rate == pytest.approx(-1 / 5, rel=0.05)
    assert 5 < found.lag < 8


def test_a_fall_at_one_step_out_of_scale_is_reached():
    walk = np.cumsum(0.05 * np.random.default_rng(1).standard_normal(51))
    found = memory_horizon(LAGS, walk - walk[0] + np.where(LAGS < 25, 0, -30))
    assert (found.kind, found.law) == ("reached", "none")
    assert 24 < found.lag < 25


def test_few_points_that_fall_one_and_all_have_fallen():
    found = memory_horizon([0, 1, 2], [0, -1, -2.2])
    assert (found.kind, found.lag) == ("reached", 1)


def test_an_early_fall_to_a_plateau_is_reached():
    found = memory_horizon(LAGS, -np.minimum(LAGS, 20) / 10)
    assert (found.kind, found.lag) == ("reached", pytest.approx(10))


def test_lags_between_steps_and_far_apart():
    assert memory_horizon(LAGS / 2, -LAGS / 14).lag == pytest.approx(7)
    spaced = np.array([0, 1, 2, 4, 8, 16, 32, 64, 1000, 10**5])
    found = memory_horizon(spaced, -spaced / 12)
    assert found.lag == pytest.approx(12)
    assert found.interval == pytest.approx((12, 12), rel=1e-3)


def test_nans_are_left_out():
    series = -LAGS / 12
    series[[7, 50]] = np.nan
    found = memory_horizon(LAGS, series)
    assert (found.lag, found.longest) == (pytest.approx(12), 49)


def test_the_error_of_a_rate_is_that_of_its_interval():
    found = memory_horizon(LAGS, -LAGS / 9 + 0.1 * np.random.default_rng(4).standard_normal(51))
    low, high = found.rate_interval
    assert found.rate_error == pytest.approx((high - low) / 3.919928)
    assert low < -1 / 9 < high


def test_series_are_fitted_together_as_each_alone():
    """Some with zeros or NaNs, whose lags are others; each law is preferred by one of them."""
    rng = np.random.default_rng(6)
    table = np.stack(
        [
            -LAGS / 9 + 0.05 * rng.standard_normal(51),
            -1.3 * np.log1p(LAGS) + 0.03 * rng.standard_normal(51),
            -((LAGS / 8) ** 0.5) + 0.005 * rng.standard_normal(51),
            np.cumsum(0.3 * rng.standard_normal(51)),
            np.where(LAGS % 3, -np.inf, -LAGS / 20),
            np.where(LAGS == 7, np.nan, -LAGS / 200 + 0.01 * rng.standard_normal(51)),
            np.where(LAGS < 2, 0.0, -np.inf),
        ],
        axis=1,
    )
    table[0] = 0
    together = memory_horizons(LAGS, table)
    for found, series in zip(together, table.T, strict=True):
        alone = memory_horizon(LAGS, series)
        assert (found.kind, found.law) == (alone.kind, alone.law)
        assert found.lag == pytest.approx(alone.lag, rel=1e-9)
        assert found.interval == pytest.approx(alone.interval, rel=1e-6)
        assert (found.rate, *found.rate_interval) == pytest.approx(
            (alone.rate, *alone.rate_interval), rel=1e-5
        )
    assert {found.law for found in together} == {"exponential", "power", "stretched", "none"}
