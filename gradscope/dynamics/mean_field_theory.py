"""Mean field theory of wide random networks: where gradients vanish or explode before training.

h_t = phi(u_t), u_t = W h_{t-1} + inputs + b with W_ij ~ N(0, g^2 / H). As H grows, u becomes
Gaussian with variance q,

    q = g^2 E[phi(sqrt(q) z)^2] + v,    chi = g^2 E[phi'(sqrt(q) z)^2],    z ~ N(0, 1),

with v the variance that inputs and biases add. chi is the mean square of the singular values of
J_t: the log norm of a gradient changes by ln(chi) / 2 per step, so that it vanishes below chi = 1
and explodes above.

Two trajectories under the same inputs and biases, correlated by c at one step, are correlated at
the next by

    C(c) = (g^2 E[phi(u_1) phi(u_2)] + v) / q,    (u_1, u_2) ~ N(0, q [[1, c], [c, 1]]).

Its stable fixed point c* is 1 where chi <= 1, and below 1 in chaos. 1 / |ln C'(c*)| is the number
of steps in which the distance from c* changes by a factor e; over that many steps a state forgets
where it came from.

Reference: Sompolinsky, Crisanti and Sommers (1988); Poole et al. (2016), Exponential expressivity;
Schoenholz et al. (2017), Deep information propagation: the correlation map; Chen, Pennington and
Schoenholz (2018), Dynamical isometry and a mean field theory of RNNs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import integrate, optimize

from gradscope.components.suggestions import suggest
from gradscope.errors import GradscopeError


@dataclass(frozen=True)
class Moments:
    """Gaussian moments of an activation phi.

    Attributes:
        square: E[phi(u)^2] as a function of q.
        slope_square: E[phi'(u)^2] as a function of q.
        product: E[phi(u_1) phi(u_2)] as a function of q and c.
        slope_product: E[phi'(u_1) phi'(u_2)] as a function of q and c.
    """

    square: Callable[[float], float]
    slope_square: Callable[[float], float]
    product: Callable[[float, float], float]
    slope_product: Callable[[float, float], float]


#: beyond these nothing is told from a limit
_GREATEST_GAIN, _GREATEST_VARIANCE = 1e6, 1e12


def _gaussian(f: Callable[[float], float], q: float) -> float:
    """E[f(sqrt(q) z)] of an even function that is negligible beyond |u| = 25.

    By adaptive quadrature in u = sqrt(q) z, where the function keeps its width however large q is;
    Gauss-Hermite nodes in z would miss it.
    """
    if q == 0:
        return f(0.0)
    reach = min(25.0, 12 * math.sqrt(q))
    value, _ = integrate.quad(
        lambda u: f(u) * math.exp(-u * u / (2 * q)), 0, reach, epsabs=1e-14, epsrel=1e-12, limit=400
    )
    return 2 * value / math.sqrt(2 * math.pi * q)


def _leaky(slope: float) -> Moments:
    """Arc-cosine kernels (Cho and Saul 2009), with phi(u) = slope u + (1 - slope) relu(u)."""
    half, steep = (1 + slope * slope) / 2, (1 - slope) ** 2

    def product(q: float, c: float) -> float:
        relu = q / (2 * math.pi) * (math.sqrt(max(0.0, 1 - c * c)) + c * (math.pi - math.acos(c)))
        return slope * q * c + steep * relu

    def slope_product(q: float, c: float) -> float:
        return slope + steep * (math.pi - math.acos(c)) / (2 * math.pi)

    return Moments(lambda q: half * q, lambda q: half, product, slope_product)


def _pair(f: Callable[[np.ndarray], np.ndarray], q: float, c: float) -> float:
    """E[f(u_1) f(u_2)] = E_w[E_z[f(sqrt(q) (sqrt(c) w + sqrt(1 - c) z))]^2].

    By the trapezoidal rule in u, which converges exponentially for a function that is analytic in a
    strip: with steps of 0.2, or half a standard deviation, to rounding for tanh, whose poles lie
    pi/2 away.
    """

    def nodes(variance: float) -> tuple[np.ndarray, np.ndarray]:
        if variance <= 0:
            return np.zeros(1), np.ones(1)
        deviation = math.sqrt(variance)
        step = min(0.2, 0.5 * deviation)
        count = math.ceil(9 * deviation / step)
        u = step * np.arange(-count, count + 1)
        weights = np.exp(-u * u / (2 * variance))
        return u, weights / weights.sum()

    (common, by_common), (private, by_private) = nodes(q * c), nodes(q * (1 - c))
    total = 0.0
    # in eight parts, to bound the memory
    parts = zip(np.array_split(common, 8), np.array_split(by_common, 8), strict=True)
    for shared, weights in parts:
        values = f(shared[:, None] + private[None, :])
        total += float(weights @ (values @ by_private) ** 2) if len(shared) else 0.0
    return total


MOMENTS: dict[str, Moments] = {
    "tanh": Moments(
        lambda q: 1 - _gaussian(lambda u: 1 / math.cosh(u) ** 2, q),
        lambda q: _gaussian(lambda u: (1 / math.cosh(u) ** 2) ** 2, q),
        lambda q, c: _pair(np.tanh, q, c),
        lambda q, c: _pair(lambda u: 1 - np.tanh(u) ** 2, q, c),
    ),
    "erf": Moments(
        lambda q: 2 / math.pi * math.asin(2 * q / (1 + 2 * q)),
        lambda q: 4 / math.pi / math.sqrt(1 + 4 * q),
        lambda q, c: 2 / math.pi * math.asin(2 * q * c / (1 + 2 * q)),
        lambda q, c: 4 / math.pi / math.sqrt((1 + 2 * q) ** 2 - (2 * q * c) ** 2),
    ),
    "relu": _leaky(0.0),
    "leaky_relu": _leaky(0.01),
    "identity": _leaky(1.0),
}


@dataclass(frozen=True)
class MeanField:
    """The fixed point of the mean field of a wide random network.

    Attributes:
        q: variance of the preactivations, the largest solution; inf where it grows without bound.
        chi: mean squared singular value of the step Jacobian at that q.
        activation: the name of phi.
        gain: g, of the recurrent weights.
        added_variance: v, the variance that inputs and biases add.
    """

    q: float
    chi: float
    activation: str
    gain: float
    added_variance: float

    @property
    def exponent(self) -> float:
        """ln(chi) / 2, the largest Lyapunov exponent of a wide network, nats per step."""
        return 0.5 * math.log(self.chi) if self.chi > 0 else -math.inf

    @cached_property
    def correlation(self) -> float:
        """c*, where the correlation of two trajectories under the same inputs settles.

        NaN where q is infinite.
        """
        if math.isinf(self.q):
            return math.nan
        if self.chi <= 1 or self.q == 0:
            return 1.0
        moments = MOMENTS[self.activation]

        def excess(c: float) -> float:
            return (self.gain**2 * moments.product(self.q, c) + self.added_variance) / self.q - c

        # C is convex with C(1) = 1 and a slope above 1 there, so it crosses the diagonal once more
        high = 1 - 1e-9
        while excess(high) >= 0:
            high = 1 - 4 * (1 - high)
            if high <= 0:
                return 0.0
        if excess(0.0) <= 1e-13:
            return 0.0
        return float(optimize.brentq(excess, 0.0, high, xtol=1e-14))

    @cached_property
    def correlation_slope(self) -> float:
        """C'(c*) = g^2 E[phi'(u_1) phi'(u_2)]; chi at c* = 1."""
        if self.correlation == 1 or math.isnan(self.correlation):
            return self.chi
        return self.gain**2 * MOMENTS[self.activation].slope_product(self.q, self.correlation)

    @property
    def correlation_length(self) -> float:
        """1 / |ln C'(c*)|, steps in which the distance from c* changes by e; inf at criticality."""
        slope = self.correlation_slope
        return math.inf if slope == 1 else 1 / abs(math.log(slope)) if slope > 0 else 0.0


def mean_field(
    activation: str = "tanh",
    gain: float = 1.0,
    *,
    input_variance: float = 0.0,
    bias_variance: float = 0.0,
) -> MeanField:
    """Solve the mean field of a wide network with recurrent weights of variance gain^2 / H.

    >>> mean_field("relu", gain=1.0).chi  # below 1: gradients vanish
    0.5

    Args:
        activation: tanh, erf, relu, leaky_relu or identity.
        gain: g, of the recurrent weights.
        input_variance: variance that fresh inputs add to a preactivation at every step.
        bias_variance: variance of the biases.

    Raises:
        GradscopeError: for an activation without moments here, or a number out of range.
    """
    moments = _moments(activation)
    variances = input_variance, bias_variance
    if not (
        0 <= gain <= _GREATEST_GAIN
        and all(0 <= variance <= _GREATEST_VARIANCE for variance in variances)
    ):
        raise GradscopeError(
            f"gain should be from 0 to {_GREATEST_GAIN:g} and variances from 0 to "
            f"{_GREATEST_VARIANCE:g}, got {gain}, {input_variance}, {bias_variance}"
        )
    added = input_variance + bias_variance
    q = _fixed_point(moments, gain, added)
    return MeanField(q, gain**2 * moments.slope_square(q), activation, gain, added)


def _fixed_point(moments: Moments, gain: float, added: float) -> float:
    """The largest q with q = g^2 E[phi^2] + v; inf where q grows without bound."""

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
    return float(optimize.brentq(excess, low, high, xtol=1e-15))


def critical_gain(
    activation: str = "tanh", *, input_variance: float = 0.0, bias_variance: float = 0.0
) -> float:
    """The gain at which chi = 1, so that a wide network's gradient neither vanishes nor explodes.

    Without inputs and biases it is 1 for tanh, sqrt(pi)/2 for erf (whose slope at 0 is
    2/sqrt(pi)) and sqrt(2) for relu.

    >>> round(critical_gain("relu"), 6)
    1.414214

    Raises:
        GradscopeError: as ``mean_field``; or where no gain up to 1000 is critical.
    """

    def excess(gain: float) -> float:
        solution = mean_field(
            activation, gain, input_variance=input_variance, bias_variance=bias_variance
        )
        return solution.chi - 1

    grid = np.geomspace(1e-3, 1e3, 61)
    before = grid[0]
    for gain in grid[1:]:
        if excess(gain) >= 0:
            return float(optimize.brentq(excess, before, gain, xtol=1e-12))
        before = gain
    raise GradscopeError(f"no gain up to 1000 is critical for {activation!r} with these variances")


def _moments(activation: str) -> Moments:
    if activation not in MOMENTS:
        raise GradscopeError(
            f"there is no mean field of {activation!r} here; {suggest(activation, list(MOMENTS))}"
        )
    return MOMENTS[activation]
