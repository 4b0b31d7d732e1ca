"""How a log norm wanders: exact innovations, and what they say of a trend, by slow twins."""

import numpy as np
import pytest
from scipy import stats

from gradscope.dynamics.wandering import (
    Wandering,
    innovations,
    moments,
    posterior,
    slopes,
    ways_to_wander,
    whitened,
)

CONSECUTIVE = np.arange(12.0)
SPACED = np.array([0.0, 1, 2, 5, 6, 11, 20, 21])


def way(ar, ma):
    return Wandering(np.array([ar]), np.array([ma]))


def covariance_of_increments(lags, ar, ma):
    """By the weights of shocks: d_l = sum of psi_j e_{l-j}, summed over the steps of a gap."""
    many = 3000
    psi = np.r_[1.0, (ar + ma) * ar ** np.arange(many)]
    gamma = np.array([psi[: len(psi) - k] @ psi[k:] for k in range(int(lags[-1]) + 1)])
    steps = np.arange(int(lags[-1]))
    of_steps = gamma[np.abs(steps[:, None] - steps)]
    gaps = (steps >= lags[:-1, None]) & (steps < lags[1:, None])
    return gaps @ of_steps @ gaps.T


@pytest.mark.parametrize("lags", [CONSECUTIVE, SPACED], ids=["consecutive", "spaced"])
@pytest.mark.parametrize(
    ("ar", "ma"), [(0.0, 0.0), (0.6, 0.0), (0.5, -0.9), (0.8, -1.0), (-0.5, -1.0), (-0.4, 0.7)]
)
def test_innovations_are_those_of_the_whole_covariance(lags, ar, ma):
    values = np.random.default_rng(0).standard_normal((len(lags), 2))
    found = moments(lags, values[:, :1], innovations(lags, values[:, 1:], way(ar, ma)), way(ar, ma))
    covariance = covariance_of_increments(lags, ar, ma)
    x, y = np.diff(values, axis=0).T
    inverse = np.linalg.inv(covariance)
    assert found.xx[0, 0] == pytest.approx(x @ inverse @ x)
    assert found.xy[0, 0, 0] == pytest.approx(x @ inverse @ y)
    assert found.yy[0, 0] == pytest.approx(y @ inverse @ y)
    assert found.log_variance[0] == pytest.approx(np.linalg.slogdet(covariance)[1])
    assert found.increments == len(lags) - 1


@pytest.mark.parametrize("lags", [CONSECUTIVE, SPACED], ids=["consecutive", "spaced"])
def test_white_noise_about_a_line_is_linear_regression(lags):
    y = 3 - 0.4 * lags + np.random.default_rng(1).standard_normal(len(lags))
    white = way(0.0, -1.0)
    found = posterior(
        moments(lags, lags[:, None], innovations(lags, y[:, None], white), white),
        white,
        np.ones(1),
        floor=1e-12,
    )
    line = stats.linregress(lags, y)
    assert found.mean == pytest.approx(line.slope)
    assert found.scales[0] == pytest.approx(line.stderr)
    half = stats.t.ppf(0.975, len(lags) - 2) * line.stderr
    assert found.interval() == pytest.approx((line.slope - half, line.slope + half), rel=1e-5)


def test_the_slope_of_a_walk_is_its_mean_increment():
    y = np.cumsum(np.random.default_rng(2).standard_normal(30)) - np.arange(30) / 5
    walk = way(0.0, 0.0)
    lags = np.arange(30.0)
    found = posterior(
        moments(lags, lags[:, None], innovations(lags, y[:, None], walk), walk),
        walk,
        np.ones(1),
        1e-12,
    )
    steps = np.diff(y)
    low, high = stats.t.interval(0.95, len(steps) - 1, steps.mean(), stats.sem(steps))
    assert found.interval() == pytest.approx((low, high), rel=1e-5)


def test_ways_hold_walks_and_stationary_ones_at_even_odds():
    ways = ways_to_wander(CONSECUTIVE)
    prior = np.exp(ways.log_prior)
    assert prior.sum() == pytest.approx(1)
    assert prior[ways.stationary].sum() == pytest.approx(0.5)
    assert np.all(np.abs(ways.ar) < 1)
    assert np.all((ways.ma >= -1) & (ways.ma < 1))


def test_between_steps_only_what_has_a_meaning_there_is_weighed():
    ways = ways_to_wander(CONSECUTIVE / 2)
    assert np.all(ways.ar > 0)
    for values, variance in whitened(CONSECUTIVE / 2, CONSECUTIVE[:, None], ways):
        assert np.isfinite(values).all()
        assert (variance > 0).all()


def test_a_mixture_tells_the_right_kind_of_wandering():
    """A line with white noise is far better known than one that walks."""
    rng = np.random.default_rng(3)
    lags, noise = np.arange(80.0), rng.standard_normal(80)
    white, walk = slopes(lags, np.stack([noise, np.cumsum(noise)], axis=1), [1e-9] * 2)
    assert white.way.stationary[0]
    assert not walk.way.stationary[0]
    assert np.ptp(white.interval()) < 0.1 * np.ptp(walk.interval())


def test_no_wandering_is_known_to_rounding():
    (found,) = slopes(CONSECUTIVE, -0.3 * CONSECUTIVE[:, None], [1e-9])
    low, high = found.interval()
    assert low <= -0.3 <= high
    assert high - low < 1e-6
