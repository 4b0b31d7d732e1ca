"""Laws of decay: exact ones are recovered, and noisy ones weighed by their increments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradscope.dynamics import decay_fits
from gradscope.dynamics.wandering import ways_to_wander
from gradscope.errors import GradscopeError
from tests.dynamics.test_wandering import covariance_of_increments

LAGS = np.arange(41)


def law(name, fits):
    """The fit of this law."""
    return next(fit for fit in fits if fit.law == name)


@given(st.floats(0.5, 60), st.floats(-900, 900))
def test_an_exponential_is_recovered(tau, offset):
    fit = law("exponential", decay_fits(LAGS, offset - LAGS / tau))
    assert fit.parameters["tau"] == pytest.approx(tau, rel=1e-6)
    assert fit.parameters["y0"] == pytest.approx(offset, abs=1e-6)
    assert fit.horizon == pytest.approx(tau, rel=1e-6)
    assert fit.explained == pytest.approx(1)


@given(st.floats(0.1, 5), st.floats(-900, 900))
def test_a_power_law_is_recovered(alpha, offset):
    fit = law("power", decay_fits(LAGS, offset - alpha * np.log1p(LAGS)))
    assert fit.parameters["alpha"] == pytest.approx(alpha, rel=1e-6)
    assert fit.horizon == pytest.approx(np.expm1(1 / alpha), rel=1e-4)


@pytest.mark.parametrize("beta", [0.4, 0.7, 1.0, 1.5])
@pytest.mark.parametrize("tau", [2.0, 9.0])
def test_a_stretched_exponential_is_recovered(tau, beta):
    fit = law("stretched", decay_fits(LAGS, 1.5 - (LAGS / tau) ** beta))
    assert fit.parameters["tau"] == pytest.approx(tau, rel=1e-3)
    assert fit.parameters["beta"] == pytest.approx(beta, rel=1e-3)
    assert fit.horizon == fit.parameters["tau"]


def test_residuals_and_what_is_explained_are_about_the_law():
    y = 2 - 0.3 * LAGS + 0.1 * np.random.default_rng(0).standard_normal(len(LAGS))
    fit = law("exponential", decay_fits(LAGS, y))
    residuals = y - fit.at(LAGS)
    assert fit.at(LAGS) == pytest.approx(fit.parameters["y0"] - LAGS / fit.parameters["tau"])
    assert fit.residual == pytest.approx(np.sqrt(np.mean(residuals**2)))
    assert fit.explained == pytest.approx(1 - np.var(residuals) / np.var(y))


@pytest.mark.parametrize("name", ["exponential", "power", "stretched"])
def test_a_law_is_drawn_by_its_formula(name):
    fit = law(name, decay_fits(LAGS, 1 - (LAGS / 6) ** 0.8))
    y0 = fit.parameters["y0"]
    drawn = {
        "exponential": lambda x: y0 - x / fit.parameters["tau"],
        "power": lambda x: y0 - fit.parameters["alpha"] * np.log1p(x),
        "stretched": lambda x: y0 - (x / fit.parameters["tau"]) ** fit.parameters["beta"],
    }[name]
    assert fit.at(LAGS) == pytest.approx(drawn(LAGS))
    assert fit.at([fit.horizon])[0] == pytest.approx(y0 - 1)


@pytest.mark.parametrize("spacing", [1, 3])
def test_aicc_is_that_of_the_increments_averaged_over_the_ways_to_wander(spacing):
    """By a plain loop over the ways, each with the inverse of a whole covariance."""
    lags = LAGS[: 5 * spacing : spacing]
    y = -lags / 4 + 0.3 * np.random.default_rng(2).standard_normal(len(lags))
    ways = ways_to_wander(lags.astype(float))
    likelihoods = []
    for ar, ma in zip(ways.ar, ways.ma, strict=True):
        covariance = covariance_of_increments(lags.astype(float), ar, ma)
        inverse = np.linalg.inv(covariance)
        x, d = np.diff(lags), np.diff(y)
        c = min((x @ inverse @ d) / (x @ inverse @ x), 0)
        rest = d - c * x
        variance = rest @ inverse @ rest / len(d)
        likelihoods.append(-(len(d) * np.log(variance) + np.linalg.slogdet(covariance)[1]) / 2)
    n, k = len(lags) - 1, 2  # the rate and the variance
    averaged = np.log(np.sum(np.exp(likelihoods + ways.log_prior)))
    expected = -2 * averaged + 2 * k + 2 * k * (k + 1) / (n - k - 1)
    assert law("exponential", decay_fits(lags, y)).aicc == pytest.approx(expected, rel=1e-5)


def test_an_early_rise_is_no_law_of_decay():
    """A norm that starts with a bump and then falls steadily decays, whatever the bump."""
    bump = np.r_[0, 0.4 * np.ones(len(LAGS) - 1)]
    fits = decay_fits(LAGS, bump - LAGS / 4 + 0.02 * np.sin(LAGS))
    assert fits[0].amount == pytest.approx(10, rel=0.05)


def test_lags_may_start_late():
    fit = law("exponential", decay_fits(LAGS[7:], 5 - LAGS[7:] / 6))
    assert fit.parameters["tau"] == pytest.approx(6)
    assert fit.parameters["y0"] == pytest.approx(5)


@pytest.mark.parametrize(
    ("lags", "values"),
    [
        ([0, 1, 2, 3], [0, -1, np.nan, -3]),
        ([0, 1, 2, 3], [0, -1, -np.inf, -3]),
        ([0, 2, 1, 3], [0, -1, -2, -3]),
        ([-1, 0, 1, 2], [0, -1, -2, -3]),
        ([0, 1, 2], [0, -1, -2, -3]),
    ],
)
def test_bad_input(lags, values):
    with pytest.raises(GradscopeError):
        decay_fits(lags, values)


def test_the_law_to_prefer_comes_first():
    noise = 0.02 * np.random.default_rng(1).standard_normal(len(LAGS))
    for name, y in (
        ("exponential", -LAGS / 5),
        ("power", -1.2 * np.log1p(LAGS)),
        ("stretched", -((LAGS / 4) ** 0.5)),
    ):
        fits = decay_fits(LAGS, y + noise)
        assert fits[0].law == name
        assert [fit.aicc for fit in fits] == sorted(fit.aicc for fit in fits)


def test_a_series_that_rises_has_no_horizon():
    fits = decay_fits(LAGS, LAGS / 7)
    assert law("exponential", fits).horizon == np.inf
    assert law("power", fits).horizon == np.inf


def test_an_interval_that_holds_no_decay_is_open():
    y = 0.5 * np.random.default_rng(3).standard_normal(len(LAGS)) - LAGS / 1000
    assert law("exponential", decay_fits(LAGS, y)).intervals["tau"][1] == np.inf


@pytest.mark.parametrize(("points", "laws"), [(3, 0), (4, 2), (5, 3)])
def test_laws_need_more_points_than_parameters(points, laws):
    assert len(decay_fits(LAGS[:points], -(LAGS[:points] ** 1.1))) == laws
