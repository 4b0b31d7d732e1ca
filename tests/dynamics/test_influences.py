"""Profiles of influence by lag."""

import numpy as np
import pytest

from gradscope.dynamics import InfluenceProfile

LAGS = np.arange(100)


def profile_of(base, noise=0.0, shape=(6, 3, 8)):
    random = np.random.default_rng(0)
    return InfluenceProfile.of(
        np.arange(len(base)), base + noise * random.normal(size=(*shape, len(base)))
    )


def test_squares_are_averaged_whatever_their_scale():
    logs = np.log([1.0, 7.0])[:, None, None, None] + np.array([0.0, -3000.0, 3000.0])
    found = InfluenceProfile.of(np.arange(3), logs)
    np.testing.assert_allclose(found.log_norms, np.log(25) / 2 + np.array([0, -3000, 3000]))
    np.testing.assert_allclose(found.log_medians, np.log(7) / 2 + np.array([0, -3000, 3000]))


@pytest.mark.parametrize(
    ("shape", "units"),
    [
        ((3, 2, 4), "examples"),
        ((3, 2, 3), "positions and examples"),
        ((1, 5, 1), "cotangents"),
        ((1, 1, 1), "nothing"),
    ],
)
def test_standard_errors_are_over_what_is_independent(shape, units):
    logs = np.random.default_rng(0).normal(size=(*shape, 1))
    found = InfluenceProfile.of(np.arange(1), logs)
    assert found.units == units
    squares = np.exp(2 * logs[..., 0])
    values = {
        "examples": squares.mean((0, 1)),
        "positions and examples": squares.mean(1).ravel(),
        "cotangents": squares.ravel(),
        "nothing": squares.ravel(),
    }[units]
    expected = np.nan
    if len(values) > 1:
        expected = values.std(ddof=1) / np.sqrt(len(values)) / (2 * values.mean())
    np.testing.assert_allclose(found.standard_errors, [expected])


def test_a_standard_error_is_that_of_repetitions():
    random = np.random.default_rng(0)
    draws = [
        InfluenceProfile.of(np.arange(1), random.normal(size=(4, 1, 16, 1)) * 0.3)
        for _ in range(400)
    ]
    spread = np.std([draw.log_norms[0] for draw in draws])
    stated = np.mean([draw.standard_errors[0] for draw in draws])
    assert stated == pytest.approx(spread, rel=0.12)  # of 400: 3.5% each, and few examples


@pytest.mark.parametrize(
    ("base", "law", "censored"),
    [
        (-LAGS / 8, "exponential", False),
        (-0.8 * np.log1p(LAGS), "power", True),
        (-1.8 * np.log1p(LAGS), "power", False),
    ],
)
def test_the_law_of_decay_is_told(base, law, censored):
    found = profile_of(base, 0.1)
    assert found.decay is not None
    assert found.decay.law == law
    assert found.explained
    assert found.effective_context.censored == censored
    assert max(found.law_weights.values()) > 0.6
    assert sum(found.law_weights.values()) == pytest.approx(1)
    if law == "power":
        low, high = found.decay.intervals["alpha"]
        assert low < -base[1] / np.log(2) < high


def test_lag_0_has_no_part_in_the_law():
    base = -0.8 * np.log1p(LAGS)
    base[0] = 5.0
    found = profile_of(base)
    assert found.decay.law == "power"
    assert found.decay.parameters["alpha"] == pytest.approx(0.8, rel=1e-6)
    assert found.horizon.lag < 1
    expected = 1 / (1 + np.exp(base[1:] - base[0]).sum())
    assert found.own_share == pytest.approx(expected)


def test_level_there_is_no_fall():
    found = profile_of(np.zeros(100), 0.1)
    assert found.decay is None
    assert found.temporal_range.censored
    fallen, error = found.fall
    assert abs(fallen) < 4 * error


def test_zero_from_some_lag_on():
    found = profile_of(np.where(LAGS < 9, -LAGS / 3, -np.inf))
    assert found.support == 9
    assert not found.effective_context.censored
    assert found.decay.law == "exponential"
    assert profile_of(np.where(LAGS < 15, 0.0, -np.inf), 0.1).decay is None  # level until it ends
    assert profile_of(np.where(LAGS == 0, 0.0, -np.inf)).past_is_zero
    nothing = profile_of(np.full(100, -np.inf))
    assert np.isneginf(nothing.log_norms).all()
    assert np.isnan(nothing.temporal_range.lag)
    assert nothing.horizon is None


def test_only_lags_that_all_have_are_compared():
    logs = np.zeros((3, 1, 4, 10))
    logs[0, :, :, 6:] = np.nan  # an output near the beginning
    logs[:, :, 1, 8:] = np.nan  # a short sequence
    found = InfluenceProfile.of(np.arange(10), logs)
    assert found.longest == 5
    assert found.counts.tolist() == [12] * 6 + [8] * 2 + [6] * 2
    assert np.isnan(found.shares[6:]).all()
    assert found.shares[5] == pytest.approx(1)


def test_the_future_is_kept_apart():
    logs = np.zeros((1, 1, 4, 7))
    found = InfluenceProfile.of(np.arange(-3, 4), logs)
    assert found.future_share == pytest.approx(3 / 7)
    assert found.temporal_range.lag == pytest.approx(1.5)
    assert found.own_share == pytest.approx(1 / 4)


def test_intervals_hold_the_truth():
    random = np.random.default_rng(1)
    held = 0
    many = np.exp(-2 * LAGS / random.normal(8, 1, size=(4000, 1))).mean(0) ** 0.5
    truth = (LAGS * many).sum() / many.sum()
    for _ in range(20):
        rates = random.normal(8, 1, size=(1, 1, 24, 1))  # examples differ
        low, high = InfluenceProfile.of(LAGS, -LAGS / rates).temporal_range.interval
        held += low < truth < high
    assert held > 14  # 19 expected, somewhat fewer of a bootstrap of 24


def test_one_value_has_no_interval():
    found = profile_of(-LAGS / 8, shape=(1, 1, 1))
    assert np.isnan(found.temporal_range.interval).all()
    assert np.isnan(found.standard_errors).all()


def test_a_jump_is_no_law():
    found = profile_of(np.where(LAGS < 40, 0.0, -6.0) - LAGS / 50, 0.01)
    assert found.decay is not None
    assert not found.explained


def test_few_lags():
    for count in (1, 2, 3, 4):
        found = profile_of(-np.arange(count) / 2)
        assert found.longest == count - 1
        assert found.decay is None
        assert found.fits == ()
