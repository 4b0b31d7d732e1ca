"""Activation functions with their closed-form derivatives.

``ACTIVATIONS[name]`` is the one list of what exists; a cell takes any of them by name.

The slopes of units that saturate come from the preactivation u. In float32, 1 - tanh(u)^2 is zero
from u = 9 on, where the slope is 4 e^-18, and is wrong in every digit well before; torch's autograd
computes it so. Long products of gradients are made of such slopes, and here they keep their size
as far as the dtype reaches, to u = 43 in float32 and 354 in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Activation:
    """An elementwise nonlinearity phi and its derivative phi'.

    >>> tanh = ACTIVATIONS["tanh"]
    >>> u = torch.tensor([0.0])
    >>> tanh(u), tanh.derivative(u, tanh(u))
    (tensor([0.]), tensor([1.]))

    Attributes:
        function: u -> phi(u), elementwise.
        derivative: (u, phi(u)) -> phi'(u), elementwise; the second argument saves a second
            evaluation. At a kink the derivative is torch's (relu'(0) = 0).
        max_slope: the supremum of |phi'|.
        saturates: whether phi flattens out at both ends.
        rectifies: whether phi and phi' are zero for all u <= 0.
    """

    function: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor, Tensor], Tensor]
    max_slope: float
    saturates: bool = False
    rectifies: bool = False

    def __call__(self, u: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        """phi(u)."""
        return self.function(u)


class Gate(NamedTuple):
    """A nonlinearity inside a cell at recorded steps.

    Attributes:
        activation: phi.
        preactivation: u, what goes into it.
    """

    activation: Activation
    preactivation: Float[Tensor, "*steps hidden"]

    @property
    def value(self) -> Float[Tensor, "*steps hidden"]:
        """phi(u)."""
        return self.activation(self.preactivation)


#: |phi(u)| from which 1 - phi(u) has lost digits that the preactivation still has
_NEAR_ONE = 0.99


def is_near_one(y: Float[Tensor, "*any"]) -> bool:
    """Whether 1 - |y| would lose digits anywhere, or y is no number somewhere."""
    # the largest and the smallest are found several times faster than each is compared
    return y.numel() > 0 and not bool(torch.maximum(y.amax(), -y.amin()) <= _NEAR_ONE)


def sigmoid_complement(u: Float[Tensor, "*any"], y: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """1 - sigmoid(u), which is sigmoid(-u), to full relative precision.

    >>> u = torch.tensor([0.0, 20.0])
    >>> 1 - torch.sigmoid(u)
    tensor([0.5000, 0.0000])
    >>> sigmoid_complement(u, torch.sigmoid(u))
    tensor([5.0000e-01, 2.0612e-09])

    Args:
        u: preactivations.
        y: sigmoid(u), which is used where it is exact enough.
    """
    plain = 1 - y
    # element by element, so that no other step or sequence changes what comes of one
    return torch.where(y > _NEAR_ONE, torch.sigmoid(-u), plain) if is_near_one(y) else plain


def sigmoid_slope(u: Float[Tensor, "*any"], y: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """sigmoid'(u) = sigmoid(u) sigmoid(-u), to full relative precision."""
    return y * sigmoid_complement(u, y)


def tanh_slope(u: Float[Tensor, "*any"], y: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """tanh'(u) = sech(u)^2 = 4 sigmoid(2u) sigmoid(-2u), to full relative precision.

    Args:
        u: preactivations.
        y: tanh(u), which is used where it is exact enough.
    """
    plain = torch.addcmul(y.new_ones(()), y, y, value=-1)
    if not is_near_one(y):
        return plain
    return torch.where(y.abs() > _NEAR_ONE, 4 * torch.sigmoid(2 * u) * torch.sigmoid(-2 * u), plain)


#: elements from which the passes of ``write_tanh`` cost less than torch.tanh
_MANY = 2**12


def write_tanh(u: Float[Tensor, "*any"], out: Float[Tensor, "*any"]) -> None:
    """Write tanh(u) into ``out``, outside autograd.

    Of many numbers it is e / (e + 2) with e = exp(2u) - 1, which is as exact for every u as
    torch.tanh, and takes half the time where torch has no fast one.
    """
    if u.numel() < _MANY:
        torch.tanh(u, out=out)
    else:
        e = u.clamp(-20, 20).mul_(2).expm1_()  # beyond, tanh is 1 in either precision
        torch.div(e, e + 2, out=out)


def _gelu_slope(u: Tensor, y: Tensor) -> Tensor:
    normal = torch.exp(-0.5 * u * u) / math.sqrt(2 * math.pi)
    return 0.5 * torch.erfc(-u / math.sqrt(2)) + u * normal


def _silu_slope(u: Tensor, y: Tensor) -> Tensor:
    return torch.sigmoid(u) * (1 + u * torch.sigmoid(-u))


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946

ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation(torch.tanh, tanh_slope, 1.0, saturates=True),
    "relu": Activation(torch.relu, lambda u, y: (y > 0).to(y.dtype), 1.0, rectifies=True),
    "identity": Activation(lambda u: u, lambda u, y: torch.ones_like(u), 1.0),
    "sigmoid": Activation(torch.sigmoid, sigmoid_slope, 0.25, saturates=True),
    "leaky_relu": Activation(
        F.leaky_relu,
        lambda u, y: torch.where(u > 0, torch.ones_like(u), torch.full_like(u, 0.01)),
        1.0,
    ),
    "elu": Activation(F.elu, lambda u, y: u.clamp_max(0).exp(), 1.0),
    "selu": Activation(
        F.selu,
        lambda u, y: _SELU_SCALE * torch.where(u > 0, 1.0, _SELU_ALPHA * u.clamp_max(0).exp()),
        _SELU_SCALE * _SELU_ALPHA,
    ),
    "gelu": Activation(F.gelu, _gelu_slope, 1.1289041451851549),
    "silu": Activation(F.silu, _silu_slope, 1.0998393201288669),
    "softplus": Activation(F.softplus, lambda u, y: torch.sigmoid(u), 1.0),
    "softsign": Activation(F.softsign, lambda u, y: (1 + u.abs()) ** -2, 1.0, saturates=True),
    "hard_tanh": Activation(
        F.hardtanh, lambda u, y: ((u > -1) & (u < 1)).to(u.dtype), 1.0, saturates=True
    ),
    "erf": Activation(
        torch.erf,
        lambda u, y: 2 / math.sqrt(math.pi) * torch.exp(-u * u),
        2 / math.sqrt(math.pi),
        saturates=True,
    ),
    "sin": Activation(torch.sin, lambda u, y: torch.cos(u), 1.0),
}

#: the activation with a bias for each unit; a cell that uses it holds the bias as a parameter
MODRELU = "modrelu"


def modrelu(bias: Float[Tensor, "*trial hidden"]) -> Activation:
    """phi(u) = sign(u) relu(|u| + b), which keeps the sign of u and thresholds its modulus.

    phi' is 1 beyond the threshold and 0 below it.

    Reference: Arjovsky, Shah and Bengio (2016), Unitary evolution recurrent neural networks.
    """
    return Activation(
        lambda u: torch.sign(u) * torch.relu(u.abs() + bias),
        lambda u, y: (u.abs() + bias > 0).to(u),
        max_slope=1.0,
    )
