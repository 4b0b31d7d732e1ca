"""Activation functions with their closed-form derivatives.

``ACTIVATIONS[name]`` is the one list of what exists; a cell takes any of them by name.
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


def _gelu_slope(u: Tensor, y: Tensor) -> Tensor:
    normal = torch.exp(-0.5 * u * u) / math.sqrt(2 * math.pi)
    return 0.5 * (1 + torch.erf(u / math.sqrt(2))) + u * normal


def _silu_slope(u: Tensor, y: Tensor) -> Tensor:
    gate = torch.sigmoid(u)
    return gate + y * (1 - gate)


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946

ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation(torch.tanh, lambda u, y: 1 - y * y, 1.0, saturates=True),
    "relu": Activation(torch.relu, lambda u, y: (y > 0).to(y.dtype), 1.0, rectifies=True),
    "identity": Activation(lambda u: u, lambda u, y: torch.ones_like(u), 1.0),
    "sigmoid": Activation(torch.sigmoid, lambda u, y: y * (1 - y), 0.25, saturates=True),
    "leaky_relu": Activation(
        F.leaky_relu,
        lambda u, y: torch.where(u > 0, torch.ones_like(u), torch.full_like(u, 0.01)),
        1.0,
    ),
    "elu": Activation(F.elu, lambda u, y: torch.where(u > 0, torch.ones_like(u), y + 1), 1.0),
    "selu": Activation(
        F.selu,
        lambda u, y: torch.where(
            u > 0, torch.full_like(u, _SELU_SCALE), y + _SELU_SCALE * _SELU_ALPHA
        ),
        _SELU_SCALE * _SELU_ALPHA,
    ),
    "gelu": Activation(F.gelu, _gelu_slope, 1.1289041451851549),
    "silu": Activation(F.silu, _silu_slope, 1.0998393201288669),
    "softplus": Activation(F.softplus, lambda u, y: torch.sigmoid(u), 1.0),
    "softsign": Activation(F.softsign, lambda u, y: (1 - y.abs()) ** 2, 1.0, saturates=True),
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


def modrelu(bias: Float[Tensor, " hidden"]) -> Activation:
    """phi(u) = sign(u) relu(|u| + b), which keeps the sign of u and thresholds its modulus.

    phi' is 1 beyond the threshold and 0 below it.

    Reference: Arjovsky, Shah and Bengio (2016), Unitary evolution recurrent neural networks.
    """
    return Activation(
        lambda u: torch.sign(u) * torch.relu(u.abs() + bias),
        lambda u, y: (u.abs() + bias > 0).to(u),
        max_slope=1.0,
    )
