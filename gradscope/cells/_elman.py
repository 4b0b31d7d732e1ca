"""Cells whose new state is phi of an affine map: h_t = phi(W_ih x_t + W h_{t-1} + b)."""

from __future__ import annotations

from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Generator, Tensor, nn

from gradscope.cells._affine import AffineCell
from gradscope.cells._affine_equation import Derivatives
from gradscope.cells._gated import PHI, Bias, HiddenSize, InitOption, TensorKind, vector
from gradscope.components.options import OneOf
from gradscope.dynamics.activations import (
    ACTIVATIONS,
    MODRELU,
    Activation,
    Gate,
    modrelu,
    write_tanh,
)

#: as of any cell, and what needs a parameter of its own
_PHI = f"{PHI}; modrelu sign(u) max(0, |u| + b) with a bias b that is learned"


class ElmanCell(AffineCell):
    """Base of these cells, with any activation phi, including modReLU and its bias."""

    gate_names = ("h",)
    additive = True

    def __init__(
        self,
        input_size: int,
        *,
        hidden_size: HiddenSize = 64,
        activation: Annotated[str, OneOf(*ACTIVATIONS, MODRELU), Field(description=_PHI)] = "tanh",
        bias: Bias = True,
        recurrent_init: InitOption = "uniform",
        generator: Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ):
        self.activation = activation
        self.vectors = ("modrelu_bias",) if activation == MODRELU else ()
        super().__init__(
            input_size,
            hidden_size=hidden_size,
            bias=bias,
            recurrent_init=recurrent_init,
            generator=generator,
            dtype=dtype,
            device=device,
        )

    def add_parameters(self, kind: TensorKind) -> None:
        """The bias of modReLU, one for each unit, zero at the start."""
        if self.vectors:
            self.modrelu_bias = nn.Parameter(torch.zeros(self.hidden_size, **kind))

    @property
    def phi(self) -> Activation:
        """The activation phi."""
        return modrelu(vector(self.modrelu_bias)) if self.vectors else ACTIVATIONS[self.activation]

    def by_vectors(
        self,
        u_x: Tensor,
        u_h: Tensor | None,
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch blocks vectors hidden"]:
        """dh/d(bias of modReLU) = sign(u) phi'(u)."""
        return (torch.sign(u_x) * self.phi.derivative(u_x, s)).unsqueeze(-2).unsqueeze(-2)

    def combine(
        self,
        u_x: Float[Tensor, "*batch gates"],
        u_h: Tensor | None,
        s_prev: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state"]:
        """h_t = phi(u)."""
        return self.phi.function(u_x)

    def advance(
        self,
        u_x: Float[Tensor, "*batch gates"],
        u_h: Tensor | None,
        s_prev: Float[Tensor, "*batch state"],
        out: Float[Tensor, "*batch state"],
    ) -> None:
        """h_t = phi(u), without a copy where phi is tanh."""
        if self.activation == "tanh":
            write_tanh(u_x, out)
        else:
            super().advance(u_x, u_h, s_prev, out)

    def derivatives(
        self, u_x: Tensor, u_h: Tensor | None, s_prev: Tensor, s: Tensor
    ) -> Derivatives:
        """dh/du = phi'(u)."""
        slope = self.phi.derivative(u_x, s).unsqueeze(-2).unsqueeze(-2)
        return Derivatives(slope, slope, None)

    def gates(
        self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Gate]:
        """The hidden units, as one gate."""
        return {"h": Gate(self.phi, self.preactivations(x, s_prev)[0])}
