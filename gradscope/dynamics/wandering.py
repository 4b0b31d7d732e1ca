"""How a log norm wanders about its law of decay, and the likelihood of its increments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

_Array = NDArray[np.float64]

#: how many values of the two coefficients of wandering are weighed
_COEFFICIENTS = 20, 16
#: factor that lies at most between the power of increments in the long run and at once, unless they
#: are stationary: a wandering that is slower yet looks as a trend does
_SLOWEST = 400.0
#: odds for a stationary wandering from which on it is taken as such: a Bayes factor of 3 is
#: 'positive evidence' (Kass and Raftery 1995)
POSITIVE = 3.0
#: share of its weight that the least components of a mixture may have together to be left out
_NEGLIGIBLE = 1e-3
#: least probability whose logarithm is taken
_LEAST = np.finfo(float).tiny


class Wandering(NamedTuple):
    """Ways to wander about a law: ARMA(1, 1) increments d_l = ar d_{l-1} + e_l + ma e_{l-1}.

    They hold a random walk (ar = ma = 0), as ln norms of products of random matrices are; white
    noise about the law (ar = 0, ma = -1); AR(1) residuals (ma = -1); a random walk with white
    noise (ar = 0), and one whose steps are correlated (ma = 0).

    Attributes:
        ar: coefficient of the last increment, one for each way.
        ma: coefficient of the last shock; -1 where the wandering is stationary.
    """

    ar: _Array
    ma: _Array

    @property
    def stationary(self) -> NDArray[np.bool_]:
        """Whether it stays about the law, rather than walk away from it."""
        return self.ma == -1

    @property
    def log_prior(self) -> _Array:
        """ln of the weight of each before a series is seen: even odds for the stationary, nats."""
        stationary = self.stationary
        count = np.where(stationary, np.sum(stationary), np.sum(~stationary))
        return -np.log(2 * count)

    def of(self, chosen: NDArray[np.bool_]) -> Wandering:
        """Those that are chosen."""
        return Wandering(self.ar[chosen], self.ma[chosen])


def ways_to_wander(lags: _Array) -> Wandering:
    """Causal, invertible ARMA(1, 1) increments by Jeffreys' prior, and stationary wanderings.

    Both coefficients are arcsine distributed. Left out are those that are too slow to be told from
    a trend, and, where lags are no whole numbers, those without a meaning between steps:
    alternating ones, and steps that are positively correlated.
    """
    ar, ma = (np.sin(np.pi / 2 * (2 * np.arange(m) + 1 - m) / m) for m in _COEFFICIENTS)
    ars, mas = (part.ravel() for part in np.meshgrid(ar, np.append(-1.0, ma), indexing="ij"))
    # the spectral densities at frequencies 0 and 1/2
    ratio = ((1 + mas) * (1 + ars) / ((1 - mas) * (1 - ars))) ** 2
    allowed = (mas == -1) | ((ratio < _SLOWEST) & (ratio > 1 / _SLOWEST))
    if np.any(lags != np.round(lags)):
        allowed &= (ars > 0) & (ars + mas < 0)
    return Wandering(ars, mas).of(allowed)


class Moments(NamedTuple):
    """Sums over the lags of products of innovations, and their variances.

    With the innovations of columns x and of series y, each over its standard deviation: ``xx``,
    (way, column), is the sum of x squared; ``xy``, (way, column, series), of x y; ``yy``, (way,
    series), of y squared. ``log_variance``, (way), is the sum of ln variance. Variances are in
    units of that of a shock. ``increments`` is their number.
    """

    xx: _Array
    xy: _Array
    yy: _Array
    log_variance: _Array
    increments: int


def moments(lags: _Array, columns: _Array, series: _Array, ways: Wandering) -> Moments:
    """Whiten the increments of columns and series by each way to wander, and sum their products.

    Args:
        lags: (lag,), ascending.
        columns: (lag, column).
        series: (lag, series).
        ways: to wander.
    """
    width, size = columns.shape[1], len(ways.ar)
    xx, yy = np.zeros((size, width)), np.zeros((size, series.shape[1]))
    xy, log_variance = np.zeros((size, width, series.shape[1])), np.zeros(size)
    for innovations, variance in whitened(lags, np.hstack([columns, series]), ways):
        x, y = innovations[:, :width], innovations[:, width:]
        xx += x**2
        yy += y**2
        xy += x[:, :, None] * y[:, None, :]
        log_variance += np.log(variance)
    return Moments(xx, xy, yy, log_variance, len(lags) - 1)


def whitened(lags: _Array, values: _Array, ways: Wandering) -> Iterator[tuple[_Array, _Array]]:
    """Yield the innovations of each increment, (way, column), and their variances, (way,).

    Innovations are over their standard deviation. The variance of u_{l+k} - u_l is
    q k + 2 s (1 - ar^k), which is a random walk and, where s is positive, a stationary part e about
    it. A scalar Kalman filter for e gives exact innovations at any spacing of lags; its algebra
    holds as well where s is negative and e no process of its own.
    """
    ar, ma = ways.ar, ways.ma
    q = ((1 + ma) / (1 - ar)) ** 2
    s = -(1 + ar * ma) * (ar + ma) / ((1 - ar**2) * (1 - ar) ** 2)
    expected = np.zeros((len(ar), values.shape[1]))  # value of e, and its variance
    uncertain = s
    for gap, increment in zip(np.diff(lags), np.diff(values, axis=0), strict=True):
        kept = ar**gap
        fresh = s * (1 - kept**2)
        variance = (1 - kept) ** 2 * uncertain + q * gap + fresh
        gain = (kept * (kept - 1) * uncertain + fresh) / variance
        surprise = increment - (kept - 1)[:, None] * expected
        expected = kept[:, None] * expected + gain[:, None] * surprise
        uncertain = kept**2 * uncertain + fresh - gain**2 * variance
        yield surprise / np.sqrt(variance)[:, None], variance


class Mixture(NamedTuple):
    """What a series says of the coefficient of a trend: a mixture of Student's t distributions.

    Attributes:
        weights: of the components, summing to 1.
        means: where they are centred.
        scales: their widths.
        freedom: degrees of freedom, of all.
        labels: a number that each component carries, such as the exponent of a law.
        way: to wander, the likeliest.
    """

    weights: _Array
    means: _Array
    scales: _Array
    freedom: int
    labels: _Array
    way: Wandering

    @property
    def mean(self) -> float:
        """Centre of the mixture."""
        return float(self.weights @ self.means)

    def below(self, values: _Array | float) -> float:
        """Probability that the coefficient is below a value, or one for each component."""
        return float(
            self.weights @ special.stdtr(self.freedom, (values - self.means) / self.scales)
        )

    def interval(self) -> tuple[float, float]:
        """95% interval of the coefficient."""
        reach = special.stdtrit(self.freedom, 0.975) * self.scales
        # the quantiles of a mixture lie between the least and the greatest of its components
        low, high = float((self.means - reach).min()), float((self.means + reach).max())
        return self._quantile(0.025, low, high), self._quantile(0.975, low, high)

    def _quantile(self, share: float, low: float, high: float) -> float:
        if not self.below(low) < share < self.below(high):
            return low if share < 0.5 else high
        return float(
            optimize.brentq(
                lambda value: self.below(value) - share, low, high, xtol=1e-6 * (high - low)
            )
        )


def log_posterior(found: Moments, ways: Wandering, floor: float) -> tuple[_Array, _Array, _Array]:
    """(ln of the joint weight, mean, scale) of the trend's coefficient, by (way, column, series).

    The trend is y0 + c x for a column x. y0 and c are flat a priori, the variance scale free.

    Args:
        found: of the series.
        ways: to wander.
        floor: least standard deviation of a shock, nats: that of rounding.
    """
    xx, freedom = found.xx[:, :, None], found.increments - 1
    mean = found.xy / xx
    squares = np.maximum(found.yy[:, None] - mean * found.xy, 0) + found.increments * floor**2
    log_weight = -(found.log_variance[:, None, None] + np.log(xx) + freedom * np.log(squares)) / 2
    return log_weight + ways.log_prior[:, None, None], mean, np.sqrt(squares / freedom / xx)


def posterior(
    found: Moments, ways: Wandering, labels: _Array, floor: float, positive: bool = False
) -> Mixture:
    """What one series says of the coefficient of a trend, whose columns have positive labels.

    The logarithm of a label is flat a priori. Where the odds for a stationary wandering are
    ``POSITIVE`` it alone counts, else the others alone: a mixture of both would be too wide for the
    one and too narrow for the other. With ``positive`` columns and ways count as far as the
    coefficient may be positive.
    """
    log_weight, mean, scale = (part[:, :, 0] for part in log_posterior(found, ways, floor))
    log_weight = log_weight - np.log(labels)
    if positive:
        chance = special.stdtr(found.increments - 1, mean / scale)
        log_weight = log_weight + np.log(np.maximum(chance, _LEAST))
    weight = np.exp(log_weight - log_weight.max())
    stationary = ways.stationary
    steady = weight[stationary].sum() > POSITIVE * weight[~stationary].sum()
    weight[stationary != steady] = 0
    descending = np.sort(weight, axis=None)[::-1]
    enough = np.searchsorted(np.cumsum(descending), (1 - _NEGLIGIBLE) * weight.sum())
    kept = weight >= descending[enough]
    likeliest = np.arange(len(weight)) == weight.sum(1).argmax()
    return Mixture(
        weight[kept] / weight[kept].sum(),
        mean[kept],
        scale[kept],
        found.increments - 1,
        np.broadcast_to(labels, weight.shape)[kept],
        ways.of(likeliest),
    )


def slope(lags: _Array, log_norms: _Array, floor: float) -> Mixture:
    """What a series of three points or more says of the slope of a straight line through it."""
    ways = ways_to_wander(lags)
    found = moments(lags, lags[:, None], log_norms[:, None], ways)
    return posterior(found, ways, np.ones(1), floor)
