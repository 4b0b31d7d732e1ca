"""The memory horizon: its intervals hold what they say, in 2,000 draws of each kind of series.

The truth is known: Newman's exponent of a product of Gaussian matrices, or the law to which a
random walk, AR(1) residuals or white noise were added.
"""

import numpy as np
import pytest
from scipy import signal, special

from gradscope.dynamics import decay_fits, memory_horizon
from gradscope.dynamics.decay import DecayFit
from gradscope.dynamics.wandering import innovations, moments, posterior, ways_to_wander

DRAWS = 2000
#: 97%, and two standard errors of a share of 2,000 draws
LEAST, MOST = 0.93, 0.98
#: few lags cannot tell residuals with a memory from a walk; then intervals are as wide as a walk's
CAUTIOUS = {("AR(0.5)", 30), ("AR(0.8)", 30), ("AR(0.8)", 50), ("AR(0.8)", 100)}
OUTSIDE = 0.05


def wandering(kind, lags, draws=DRAWS, seed=0):
    """(lag, draw), a wandering of one unit a step; AR(1) residuals start in their distribution."""
    rng = np.random.default_rng(seed)
    shocks = rng.standard_normal((lags + 1, draws))
    if kind == "walk":
        return np.cumsum(shocks, axis=0)
    ar = {"white": 0.0, "alternating": -0.5, "AR(0.5)": 0.5, "AR(0.8)": 0.8}[kind]
    shocks[0] /= np.sqrt(1 - ar**2)
    return signal.lfilter([1], [1, -ar], shocks, axis=0)


def gaussian_products(size, lags, seed=0):
    """(log spectral norms by (lag, draw), exponent by Newman 1986) of iid Gaussian products."""
    rng = np.random.default_rng(seed)
    product = np.broadcast_to(np.eye(size), (DRAWS, size, size))
    log_scale, log_norms = np.zeros(DRAWS), [np.zeros(DRAWS)]
    for _ in range(lags):
        product = product @ rng.normal(0, size**-0.5, (DRAWS, size, size))
        scale = np.linalg.norm(product, 2, axis=(1, 2))
        product = product / scale[:, None, None]
        log_scale = log_scale + np.log(scale)
        log_norms.append(log_scale)
    return np.array(log_norms), (np.log(2 / size) + special.psi(size / 2)) / 2


def coverage(lags, shape, series, truth):
    """Share of the draws whose 95% interval of the coefficient of ``shape`` holds the truth."""
    ways = ways_to_wander(lags)
    found = moments(lags, shape[:, None], innovations(lags, series, ways), ways)
    held = 0
    for draw in range(series.shape[1]):
        one = found.of(draw)
        below = posterior(one, ways, np.ones(1), 1e-9).below(truth)
        held += OUTSIDE / 2 < below < 1 - OUTSIDE / 2
    return held / series.shape[1]


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 8, 16])
@pytest.mark.parametrize("lags", [50, 100])
def test_the_rate_of_gaussian_products_is_held(size, lags):
    log_norms, exponent = gaussian_products(size, lags)
    settled = np.arange(lags + 1) >= lags / 4
    x = np.arange(lags + 1.0)[settled]
    assert LEAST <= coverage(x, x, log_norms[settled], exponent) <= MOST
    x = np.arange(lags + 1.0)
    assert LEAST <= coverage(x, x, log_norms, exponent) <= MOST


@pytest.mark.slow
@pytest.mark.parametrize("lags", [30, 50, 100])
@pytest.mark.parametrize("kind", ["walk", "white", "alternating", "AR(0.5)", "AR(0.8)"])
@pytest.mark.parametrize("law", ["exponential", "power"])
def test_the_coefficient_of_a_law_is_held(law, kind, lags):
    x = np.arange(lags + 1.0)
    shape = x if law == "exponential" else np.log1p(x)
    held = coverage(x, shape, wandering(kind, lags) - 1.2 * shape[:, None], -1.2)
    assert LEAST <= held <= (1 if (kind, lags) in CAUTIOUS else MOST)


def fitted(law: str, lags: np.ndarray, log_norms: np.ndarray) -> DecayFit:
    """The fit of a law."""
    return next(fit for fit in decay_fits(lags, log_norms) if fit.law == law)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "scale"), [("walk", 0.05), ("white", 0.2)])
def test_a_stretched_law_is_held(kind, scale):
    x = np.arange(51.0)
    truth = {"tau": 10.0, "beta": 0.6}
    series = scale * wandering(kind, 50) - (x[:, None] / truth["tau"]) ** truth["beta"]
    held = dict.fromkeys(truth, 0)
    for log_norms in series.T:
        intervals = fitted("stretched", x, log_norms).intervals
        for name, (low, high) in intervals.items():
            held[name] += low < truth[name] < high
    # an exponent is weighed by its logarithm, which is a little cautious
    assert LEAST <= held["tau"] / DRAWS <= MOST
    assert LEAST <= held["beta"] / DRAWS <= 0.99


def test_the_probability_below_is_that_of_the_interval_and_of_the_horizon():
    """What the simulations above count is what is told."""
    x = np.arange(41.0)
    for seed in range(5):
        y = -x / 9 + 0.2 * wandering("walk", 40, 1, seed)[:, 0]
        for fit in decay_fits(x, y):
            low, high = fit.fall.interval()
            assert fit.fall.below(low) == pytest.approx(OUTSIDE / 2, abs=1e-4)
            assert fit.fall.below(high) == pytest.approx(1 - OUTSIDE / 2, abs=1e-4)
            for lag, share in zip(fit.horizon_interval, (0.025, 0.975), strict=True):
                assert lag == np.inf or fit.chance_within(lag) == pytest.approx(share, abs=1e-4)


#: repetitions of the whole search for a horizon, which is not vectorised
WHOLE = 500


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["walk", "white", "AR(0.8)"])
@pytest.mark.parametrize("lags", [30, 60])
def test_what_wanders_without_decay_does_not_fall(kind, lags):
    series = 0.3 * wandering(kind, lags, WHOLE)
    kinds = [memory_horizon(range(lags + 1), log_norms).kind for log_norms in series.T]
    assert kinds.count("no fall") >= 0.94 * WHOLE


@pytest.mark.slow
@pytest.mark.parametrize(
    ("truth", "shape"),
    [(10.0, lambda x: -x / 10), (np.expm1(1 / 1.2), lambda x: -1.2 * np.log1p(x))],
)
@pytest.mark.parametrize(("kind", "scale"), [("walk", 0.1), ("white", 0.2)])
def test_the_interval_holds_the_horizon_of_the_law(truth, shape, kind, scale):
    """It is averaged over the laws and holds the series' crossing too: it may hold more."""
    x = np.arange(61.0)
    series = shape(x)[:, None] + scale * wandering(kind, 60, WHOLE)
    found = [memory_horizon(x, log_norms) for log_norms in series.T]
    assert sum(one.kind == "reached" for one in found) >= 0.95 * WHOLE
    assert sum(one.interval[0] < truth < one.interval[1] for one in found) >= LEAST * WHOLE
    assert all(one.interval[0] <= one.lag <= one.interval[1] for one in found)
