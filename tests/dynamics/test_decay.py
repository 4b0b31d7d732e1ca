"""Laws of decay: exact ones are recovered, and straight lines by linear regression."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gradscope.dynamics import decay_fits

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


@pytest.mark.parametrize(("name", "x"), [("exponential", LAGS), ("power", np.log1p(LAGS))])
def test_straight_lines_are_those_of_linear_regression(name, x):
    """Values, intervals, residual and criterion; the exponential is straight in 1 / tau."""
    y = 2 - 0.3 * x + 0.1 * np.random.default_rng(0).standard_normal(len(x))
    fit, line = law(name, decay_fits(LAGS, y)), stats.linregress(x, y)
    slope = 1 / fit.parameters["tau"] if name == "exponential" else fit.parameters["alpha"]
    assert slope == pytest.approx(-line.slope, rel=1e-6)
    half = stats.t.ppf(0.975, len(x) - 2) * line.stderr
    low, high = fit.intervals["tau" if name == "exponential" else "alpha"]
    if name == "exponential":
        low, high = 1 / high, 1 / low
    assert (low, high) == pytest.approx((-line.slope - half, -line.slope + half), rel=1e-5)
    squares = np.sum((y - line.intercept - line.slope * x) ** 2)
    assert fit.residual == pytest.approx(np.sqrt(squares / len(x)), rel=1e-6)
    assert fit.explained == pytest.approx(line.rvalue**2, rel=1e-6)
    n, k = len(x), 3  # two parameters and the variance
    corrected = n * np.log(squares / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1)
    assert fit.aicc == pytest.approx(corrected, rel=1e-6)


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
