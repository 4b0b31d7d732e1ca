"""Mixtures of Student's t distributions, many at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

_Array = NDArray[np.float64]

#: up to so many degrees of freedom the finite sum of Student's t is the faster way
_SHORT = 200
#: shares of a distribution below the ends of its 95% interval
ENDS = np.array([0.025, 0.975])


class Students(NamedTuple):
    """Mixtures laid end to end.

    Attributes:
        weights: of the components, summing to 1 within each mixture.
        means: where they are centred.
        scales: their widths.
        sizes: how many components each mixture has.
        freedom: degrees of freedom, of all.
    """

    weights: _Array
    means: _Array
    scales: _Array
    sizes: NDArray[np.intp]
    freedom: int

    def of(self, chosen: NDArray[np.bool_]) -> Students:
        """The components that are chosen, some of each mixture."""
        sizes = np.add.reduceat(chosen.astype(int), self._starts)
        weights, means, scales = (part[chosen] for part in self[:3])
        return Students(weights, means, scales, sizes, self.freedom)

    def each(self, of_mixture: _Array) -> _Array:
        """Values of mixtures, (mixture, value), repeated for every component."""
        return np.repeat(of_mixture, self.sizes, axis=0)

    def below(self, values: _Array) -> _Array:
        """Probability that each is below values that every component has of its own.

        From (component, value) to (mixture, value).
        """
        shares = student(self.freedom, (values - self.means[:, None]) / self.scales[:, None])
        return np.add.reduceat(self.weights[:, None] * shares, self._starts, axis=0)

    def intervals(self) -> _Array:
        """95% interval of each, (mixture, end)."""
        low, high = self.bounds(*self.reach())
        widest = np.stack([low, high], axis=1)
        found = crossings(
            lambda values: self.below(self.each(values)) - ENDS,
            low[:, None].repeat(2, 1),
            high[:, None].repeat(2, 1),
            1e-6 * (high - low)[:, None],
        )
        held = self.below(self.each(widest))
        inside = (held[:, :1] < ENDS) & (held[:, 1:] > ENDS)
        return np.where(inside, found, widest)

    def reach(self) -> tuple[_Array, _Array]:
        """Ends of the 95% interval of each component."""
        reach = special.stdtrit(self.freedom, ENDS[1]) * self.scales
        return self.means - reach, self.means + reach

    def bounds(self, low: _Array, high: _Array) -> tuple[_Array, _Array]:
        """Of ends of all components, the least and the greatest of each mixture's.

        The quantiles of a mixture lie between them.
        """
        starts = self._starts
        return np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)

    @property
    def _starts(self) -> NDArray[np.intp]:
        return np.cumsum(self.sizes) - self.sizes


def student(freedom: int, at: _Array) -> _Array:
    """Student's t distribution function, to 1e-14 of one: its finite sum where that is short.

    Scipy's keeps the digits of a small tail too, for ten times the time.

    Reference: Abramowitz and Stegun (1964), Handbook of mathematical functions, 26.7.3 and 26.7.4.
    """
    if freedom > _SHORT:
        return special.stdtr(freedom, at)
    cosine = freedom / (freedom + at**2)  # squared
    sine, odd = at / np.sqrt(freedom + at**2), freedom % 2
    total = np.ones_like(at)
    for term in range(freedom - 2, odd, -2):
        total *= cosine
        total *= (term - 1) / term
        total += 1
    if not odd:
        return 0.5 + sine * total / 2
    angle = np.arctan(at / np.sqrt(freedom))
    return 0.5 + (angle + (sine * np.sqrt(cosine) * total if freedom > 1 else 0)) / np.pi


def crossings(
    rising: Callable[[_Array], _Array], low: _Array, high: _Array, tolerance: _Array | float
) -> _Array:
    """Zeros of functions that rise, each between its ends, all at once; by Ridders' method.

    Args:
        rising: values of all functions, each at a place of its own.
        low: places where they are at most 0.
        high: places where they are at least 0.
        tolerance: of places.

    Reference: Ridders (1979), A new algorithm for computing a single root of a real continuous
    function.
    """
    at_low, at_high, last = rising(low), rising(high), np.full_like(low, np.inf)
    while True:
        middle = (low + high) / 2
        at_middle = rising(middle)
        root = np.sqrt(np.maximum(at_middle**2 - at_low * at_high, np.finfo(float).tiny))
        found = np.clip(middle - (middle - low) * at_middle / root, low, high)
        near = np.minimum(np.abs(found - last), high - low)
        if np.all(near <= tolerance):
            return found
        for place, value in ((middle, at_middle), (found, rising(found))):
            under, over = (value <= 0) & (place > low), (value > 0) & (place < high)
            low, at_low = np.where(under, place, low), np.where(under, value, at_low)
            high, at_high = np.where(over, place, high), np.where(over, value, at_high)
        last = found
