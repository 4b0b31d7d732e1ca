"""Saturation: where a nonlinearity has flattened out and lets no gradient through."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from gradscope.dynamics.activations import Activation


def saturated(
    activation: Activation,
    u: Float[Tensor, "*any"],
    threshold: float = 0.1,
    y: Float[Tensor, "*any"] | None = None,
) -> tuple[Bool[Tensor, "*any"], Bool[Tensor, "*any"]]:
    """Which units are saturated (low, high): |phi'(u)| <= threshold * sup |phi'|, at u <= 0 or u >
    0.

    For tanh this is |h| > 0.949 at the default threshold, for a sigmoid gate a value under 0.026 or
    over 0.974, for relu a dead unit (low). ``y`` is phi(u) where it is known.
    """
    flat = (
        activation.derivative(u, activation(u) if y is None else y).abs()
        <= threshold * activation.max_slope
    )
    return flat & (u <= 0), flat & (u > 0)
