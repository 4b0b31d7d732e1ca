"""Mean field theory of wide random recurrent networks: where gradients vanish and where they explode, before any training.

h_t = phi(u_t), u_t = W h_{t-1} + inputs + b with W_ij ~ N(0, g^2 / H). As H grows, u becomes Gaussian with variance q,

    q = g^2 E[phi(sqrt(q) z)^2] + v,    chi = g^2 E[phi'(sqrt(q) z)^2],    z ~ N(0, 1),

v the variance that inputs and biases add. chi is the mean square of J_t's singular values: a gradient's log norm changes by
ln(chi) / 2 per step, vanishing below chi = 1 and exploding above.

Reference: Sompolinsky, Crisanti and Sommers (1988); Chen, Pennington and Schoenholz (2018), Dynamical isometry and a mean
field theory of RNNs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import integrate, optimize

from gradscope.errors import GradscopeError
from gradscope.registry import suggest


@dataclass(frozen=True)
class Moments:
    """E[phi(sqrt(q) z)^2] and E[phi'(sqrt(q) z)^2] as functions of q."""

    square: Callable[[float], float]
    slope_square: Callable[[float], float]


def _gaussian(f: Callable[[float], float], q: float) -> float:
    """E[f(sqrt(q) z)] of a function that is negligible beyond |u| = 25, by adaptive quadrature in u = sqrt(q) z.

    In u the function keeps its width however large q is, which Gauss-Hermite nodes in z do not see.
    """
    if q == 0:
        return f(0.0)
    reach = min(25.0, 12 * math.sqrt(q))
    value, _ = integrate.quad(lambda u: f(u) * math.exp(-u * u / (2 * q)), 0, reach, epsabs=1e-14, epsrel=1e-12, limit=400)
    return 2 * value / math.sqrt(2 * math.pi * q)


def _sech2(u: float) -> float:
    return 1 / math.cosh(u) ** 2


def _leaky(slope: float) -> Moments:
    half = (1 + slope * slope) / 2
    return Moments(lambda q: half * q, lambda q: half)


MOMENTS: dict[str, Moments] = {
    "tanh": Moments(lambda q: 1 - _gaussian(_sech2, q), lambda q: _gaussian(lambda u: _sech2(u) ** 2, q)),
    "erf": Moments(lambda q: 2 / math.pi * math.asin(2 * q / (1 + 2 * q)), lambda q: 4 / math.pi / math.sqrt(1 + 4 * q)),
    "relu": _leaky(0.0),
    "leaky_relu": _leaky(0.01),
    "identity": _leaky(1.0),
}


@dataclass(frozen=True)
class MeanField:
    """The fixed point of the mean field.

    Attributes:
        q: variance of the preactivations, the largest solution (inf where it grows without bound).
        chi: mean squared singular value of the step Jacobian there.
        exponent: ln(chi) / 2, the largest Lyapunov exponent of a wide network, nats per step.
        correlation_length: steps over which two nearby trajectories, or a gradient's square, change by e: 1 / |ln chi|.
    """

    q: float
    chi: float

    @property
    def exponent(self) -> float:
        """ln(chi) / 2."""
        return 0.5 * math.log(self.chi) if self.chi > 0 else -math.inf

    @property
    def correlation_length(self) -> float:
        """1 / |ln chi|; inf at the critical point."""
        return math.inf if self.chi == 1 else 1 / abs(math.log(self.chi)) if self.chi > 0 else 0.0


def mean_field(
    activation: str = "tanh", gain: float = 1.0, *, input_variance: float = 0.0, bias_variance: float = 0.0
) -> MeanField:
    """q*, chi and what follows from them.

    Args:
        activation: tanh, erf, relu, leaky_relu or identity.
        gain: g.
        input_variance: variance that fresh inputs add to a preactivation at every step.
        bias_variance: variance of the biases.

    Raises:
        GradscopeError: for an activation without moments here, or a negative number.
    """
    moments = _moments(activation)
    if gain < 0 or input_variance < 0 or bias_variance < 0:
        raise GradscopeError(f"gain and variances should be at least 0, got {gain}, {input_variance}, {bias_variance}")
    added = input_variance + bias_variance
    q = _fixed_point(moments, gain, added)
    return MeanField(q, gain**2 * moments.slope_square(q))


def _fixed_point(moments: Moments, gain: float, added: float) -> float:
    def excess(q: float) -> float:
        return gain**2 * moments.square(q) + added - q

    high = max(1.0, 4 * added)
    while excess(high) > 0:
        high *= 2
        if high > 1e12:
            return math.inf
    low = high
    while excess(low) <= 0:  # the largest root lies where the excess turns positive on the way down
        low /= 2
        if low < 1e-14:
            return 0.0 if added == 0 else added
    root: Any = optimize.brentq(excess, low, high, xtol=1e-15)
    return float(root)


def critical_gain(activation: str = "tanh", *, input_variance: float = 0.0, bias_variance: float = 0.0) -> float:
    """The gain at which chi = 1, so that a wide network's gradient neither vanishes nor explodes.

    Without inputs and biases: 1 for tanh (and sqrt(pi)/2 for erf, whose slope at 0 is 2/sqrt(pi)), sqrt(2) for relu.

    Raises:
        GradscopeError: as ``mean_field``; or where no gain up to 1000 is critical.
    """

    def excess(gain: float) -> float:
        return mean_field(activation, gain, input_variance=input_variance, bias_variance=bias_variance).chi - 1

    grid = np.geomspace(1e-3, 1e3, 61)
    before = grid[0]
    for gain in grid[1:]:
        if excess(gain) >= 0:
            root: Any = optimize.brentq(excess, before, gain, xtol=1e-12)
            return float(root)
        before = gain
    raise GradscopeError(f"no gain up to 1000 is critical for {activation!r} with these variances")


def _moments(activation: str) -> Moments:
    if activation not in MOMENTS:
        raise GradscopeError(f"there is no mean field of {activation!r} here; {suggest(activation, list(MOMENTS))}")
    return MOMENTS[activation]
