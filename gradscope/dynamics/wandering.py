"""How a log norm wanders about its law of decay, and the likelihood of its increments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from gradscope.dynamics.students import Students, student

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
#: ln of the ratio of weights from which on the lesser is lost to rounding, even of many
_SILENT = 50.0
#: increments whose products are summed at once
_AT_ONCE = 32
#: below it, Student's t leaves a chance so small that its digits have to be kept
_SMALL = -3.0
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

    def of(self, series: int) -> Moments:
        """Those of one series, which stays an axis of length 1."""
        chosen = slice(series, series + 1)
        return self._replace(xy=self.xy[:, :, chosen], yy=self.yy[:, chosen])


class Innovations(NamedTuple):
    """Whitened increments of several series.

    Attributes:
        values: over their standard deviations, (way, increment, series).
        variances: of the increments, (way, increment).
    """

    values: _Array
    variances: _Array


def innovations(lags: _Array, series: _Array, ways: Wandering) -> Innovations:
    """All that ``whitened`` yields of series, (lag, series)."""
    values, variances = zip(*whitened(lags, series, ways), strict=True)
    return Innovations(np.stack(values, 1), np.stack(variances, 1))


def moments(lags: _Array, columns: _Array, series: Innovations, ways: Wandering) -> Moments:
    """Whiten the increments of columns by each way to wander, and sum products with the series'.

    Args:
        lags: (lag,), ascending.
        columns: (lag, column).
        series: of the same lags, by the same ways.
        ways: to wander.
    """
    size, increments, count = series.values.shape
    xx, xy = np.zeros((size, columns.shape[1])), np.zeros((size, columns.shape[1], count))
    steps = (values for values, _ in whitened(lags, columns, ways))
    for start in range(0, increments, _AT_ONCE):
        x = np.stack(list(islice(steps, _AT_ONCE)), 1)
        xx += np.einsum("wic,wic->wc", x, x)
        xy += x.transpose(0, 2, 1) @ series.values[:, start : start + _AT_ONCE]
    yy = np.einsum("wis,wis->ws", series.values, series.values)
    return Moments(xx, xy, yy, np.log(series.variances).sum(1), increments)


def whitened(lags: _Array, values: _Array, ways: Wandering) -> Iterator[tuple[_Array, _Array]]:
    """Yield the innovations of each increment, (way, column), and their variances, (way,).

    Innovations are over their standard deviation. The variance of u_{l+k} - u_l is
    q k + 2 s (1 - ar^k), which is a random walk and, where s is positive, a stationary part e about
    it. A scalar Kalman filter for e gives exact innovations at any spacing of lags; its algebra
    holds as well where s is negative and e no process of its own.

    Args:
        lags: (lag,), ascending.
        values: (lag, column), or (lag, way, column) where each way has values of its own.
        ways: to wander.
    """
    ar, ma = ways.ar, ways.ma
    q = ((1 + ma) / (1 - ar)) ** 2
    s = -(1 + ar * ma) * (ar + ma) / ((1 - ar**2) * (1 - ar) ** 2)
    expected = np.zeros((len(ar), values.shape[-1]))  # value of e, and its variance
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
        return float(self.weights @ student(self.freedom, (values - self.means) / self.scales))

    def interval(self) -> tuple[float, float]:
        """95% interval of the coefficient."""
        low, high = end_to_end([self]).intervals()[0]
        return float(low), float(high)


def end_to_end(mixtures: Sequence[Mixture]) -> Students:
    """Mixtures of the same degrees of freedom, to take intervals of at once."""
    weights, means, scales = (
        np.concatenate([mixture[part] for mixture in mixtures]) for part in range(3)
    )
    sizes = np.array([len(mixture.weights) for mixture in mixtures])
    return Students(weights, means, scales, sizes, mixtures[0].freedom)


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
        log_weight = _positive(log_weight, mean / scale, found.increments - 1)
    weight = np.exp(log_weight - log_weight.max())
    stationary = ways.stationary
    steady = weight[stationary].sum() > POSITIVE * weight[~stationary].sum()
    weight[stationary != steady] = 0
    total = weight.sum()
    # what is less than its part of the negligible is never needed
    descending = np.sort(weight[weight * weight.size > _NEGLIGIBLE * total])[::-1]
    enough = np.searchsorted(np.cumsum(descending), (1 - _NEGLIGIBLE) * total)
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


def _positive(log_weight: _Array, ratio: _Array, freedom: int) -> _Array:
    """ln weights times the chance that the coefficient, of so many scales, is positive.

    Those that are negligible beside the first of them, whatever their chance, are left as zero.
    """

    def log_chance(at: _Array) -> _Array:
        chance, small = student(freedom, at), at < _SMALL
        chance[small] = special.stdtr(freedom, at[small])
        return np.log(np.maximum(chance, _LEAST))

    first = [int(log_weight.argmax())]
    least = log_weight.ravel()[first] + log_chance(ratio.ravel()[first]) - _SILENT
    heard = log_weight > least
    weighed = np.full_like(log_weight, -np.inf)
    weighed[heard] = log_weight[heard] + log_chance(ratio[heard])
    return weighed


def slopes(lags: _Array, series: _Array, floors: Sequence[float]) -> list[Mixture]:
    """What each series of three points or more says of the slope of a straight line through it.

    Args:
        lags: (lag,), ascending.
        series: (lag, series).
        floors: least standard deviation of a shock of each, as in ``posterior``.
    """
    ways = ways_to_wander(lags)
    found = moments(lags, lags[:, None], innovations(lags, series, ways), ways)
    return [
        posterior(found.of(place), ways, np.ones(1), floor) for place, floor in enumerate(floors)
    ]
