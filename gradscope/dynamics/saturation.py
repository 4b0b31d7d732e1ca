"""Saturation: where a nonlinearity is so flat that it lets hardly any gradient through."""

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
    """Which units are saturated at u <= 0, and which at u > 0.

    A unit is saturated where |phi'(u)| <= threshold * sup |phi'|. At the default threshold that is
    |h| > 0.949 for tanh, a value below 0.026 or above 0.974 for a sigmoid gate, and a dead unit for
    relu.

    >>> import torch
    >>> from gradscope.dynamics import ACTIVATIONS
    >>> low, high = saturated(ACTIVATIONS["tanh"], torch.tensor([-3.0, 0.0, 3.0]))
    >>> low.tolist(), high.tolist()
    ([True, False, False], [False, False, True])

    Args:
        activation: phi.
        u: preactivations.
        threshold: slope, as a part of the largest one, up to which a unit is saturated.
        y: phi(u), where it is known.
    """
    flat = (
        activation.derivative(u, activation(u) if y is None else y).abs()
        <= threshold * activation.max_slope
    )
    return flat & (u <= 0), flat & (u > 0)
