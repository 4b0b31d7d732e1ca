"""Kreiss' constant of a matrix: how far its powers may grow before they decay.

    K(A) = sup over |z| > 1 of (|z| - 1) ||(z I - A)^-1||

The supremum is looked for on circles |z| = r. Where the smallest singular value of z I - A equals a
level sigma, w = z / r is an eigenvalue of modulus 1 of a pencil of twice the size, so that a circle
is searched as a whole, however narrow a peak on it; each peak is then followed in both coordinates.
"""

from __future__ import annotations

import cmath
import math

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

_Matrix = NDArray[np.float64]
#: circles that are searched, and the nearest of them to the unit circle
_CIRCLES, _NEAREST = 20, 1e-9
#: peaks of at least this part of the highest one so far are followed
_WORTH = 0.7
#: | |w| - 1 | up to which an eigenvalue counts as one on the circle; they are evaluated anyhow
_ON_CIRCLE = 1e-4
#: the most points of a circle that are evaluated, and the most peaks that are followed
_POINTS, _PEAKS = 40, 30


def kreiss_constant(matrix: _Matrix) -> float:
    """K(A), which is 1 for a normal matrix with spectral radius up to 1.

    inf where an eigenvalue lies outside the unit circle beyond rounding. An eigenvalue that
    floating point cannot tell from one inside, as of a Jordan block near the circle, makes K large;
    what is given then is a lower bound, taken where z I - A is regular beyond rounding.

    Args:
        matrix: square and finite.

    Reference: Trefethen and Embree (2005), Spectra and pseudospectra, 18; Mitchell (2020),
    Computing the Kreiss constant of a matrix; Byers (1988) for the search along a curve.
    """
    resolvent = _Resolvent(matrix)
    if resolvent.is_unstable():
        return math.inf
    distances = np.geomspace(_NEAREST, 3 * (1 + resolvent.norm), _CIRCLES)
    best, followed = 1.0, 0  # the ratio tends to 1 as |z| grows
    for distance in distances[::-1]:
        for angle in resolvent.peaks(distance, _WORTH * best):
            if followed < _PEAKS:
                best = max(best, resolvent.followed(distance, angle))
                followed += 1
    return best


class _Resolvent:
    """The ratio (|z| - 1) / sigma_min(z I - A) of a matrix.

    Args:
        matrix: A.
    """

    def __init__(self, matrix: _Matrix):
        self.matrix, self.identity = matrix, np.eye(len(matrix))
        self.norm = float(np.linalg.norm(matrix, 2))
        self.eigenvalues = np.linalg.eigvals(matrix)
        #: singular values below this are rounding
        self.floor = 10 * len(matrix) * np.finfo(float).eps * max(1.0, self.norm)

    def smallest(self, z: complex) -> float:
        """sigma_min(z I - A), or what rounding leaves of it."""
        values = np.linalg.svd(z * self.identity - self.matrix, compute_uv=False)
        return max(float(values[-1]), self.floor)

    def ratio(self, distance: float, angle: float) -> float:
        """(|z| - 1) / sigma_min(z I - A) at |z| = 1 + distance."""
        return distance / self.smallest((1 + distance) * cmath.exp(1j * angle))

    def is_unstable(self) -> bool:
        """Whether an eigenvalue lies outside the unit circle, farther than rounding can move it.

        A perturbation that brings one across the circle makes z I - A singular on it.
        """
        outside = self.eigenvalues[np.abs(self.eigenvalues) > 1]
        return any(self.smallest(complex(z / abs(z))) > 2 * self.floor for z in outside)

    def peaks(self, distance: float, level: float) -> list[float]:
        """Angles in [0, pi] between which the ratio exceeds a level on this circle."""
        candidates = np.concatenate((self._crossings(distance, level), [0.0, math.pi]))
        ends = np.unique(np.round(np.abs(candidates), 14))
        middles = np.concatenate((ends, (ends[1:] + ends[:-1]) / 2))
        nearest = np.argsort(np.abs(ends[:, None] - middles).min(0))[: 4 * _POINTS]
        found = []
        for angle in middles[nearest][:: max(1, len(nearest) // _POINTS)]:
            if self.ratio(distance, float(angle)) > level:
                found.append(float(angle))
        return _apart(found, distance)

    def _crossings(self, distance: float, level: float) -> NDArray[np.float64]:
        """Angles at which the ratio equals the level, and maybe others."""
        radius, sigma = 1 + distance, distance / level
        zero, eye = np.zeros_like(self.identity), self.identity
        constant = np.block([[-sigma * eye, -self.matrix], [radius * eye, zero]])
        linear = np.block([[zero, radius * eye], [-self.matrix.T, -sigma * eye]])
        # w = (1 + i mu) / (1 - i mu), turned so that w = -1 is no eigenvalue
        turned = np.exp(0.7j) * linear
        pencil = np.linalg.solve(constant - turned, constant + turned)
        mu = np.linalg.eigvals(pencil) / 1j
        with np.errstate(divide="ignore", invalid="ignore"):
            w = np.exp(0.7j) * (1 + 1j * mu) / (1 - 1j * mu)
        w = w[np.isfinite(w)]
        return np.angle(w[np.abs(np.abs(w) - 1) < _ON_CIRCLE])

    def followed(self, distance: float, angle: float) -> float:
        """The ratio at the top of a peak, from a point on it."""
        result = optimize.minimize(
            lambda point: -math.log(self.ratio(math.exp(point[0]), point[1])),
            (math.log(distance), angle),
            method="Nelder-Mead",
            options={
                "maxiter": 200,
                "initial_simplex": [
                    (math.log(distance), angle),
                    (math.log(distance) + 0.5, angle),
                    (math.log(distance), angle + 0.3 * min(1.0, distance)),
                ],
                "xatol": 1e-6,
                "fatol": 1e-9,
            },
        )
        return math.exp(-float(result.fun))


def _apart(angles: list[float], distance: float) -> list[float]:
    """One of those that lie within the width of a peak at this distance."""
    chosen: list[float] = []
    for angle in sorted(angles):
        if not chosen or angle - chosen[-1] > distance:
            chosen.append(angle)
    return chosen
