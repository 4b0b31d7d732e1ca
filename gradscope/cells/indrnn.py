"""IndRNN: units that see their own past only."""

from __future__ import annotations

from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Generator, Tensor, nn

from gradscope.cells._affine import AffineCell
from gradscope.cells._affine_equation import Derivatives
from gradscope.cells._cell import register
from gradscope.cells._gated import PHI, Bias, HiddenSize, InitOption, TensorKind, vector
from gradscope.components.options import OneOf
from gradscope.dynamics.activations import ACTIVATIONS, Gate


@register("indrnn")
class IndRNN(AffineCell):
    """Independently recurrent units: each one sees its own past only, and layers above mix them.

        h_t = phi(W_ih x_t + u h_{t-1} + b), with a vector u

    State s = h. J_t = diag(phi' u), so ds_t/ds_k is a product of numbers for each unit. u is drawn
    evenly from [low, high]; ``recurrent_init`` draws the input weights.

    Reference: Li, Li, Cook, Zhu and Gao (2018), Independently recurrent neural network.
    """

    of_start = frozenset({"recurrent_init", "low", "high"})
    gate_names = ("h",)
    additive = True
    recurrent = False
    two_biases = False
    vectors = ("weight_recurrent",)

    def __init__(
        self,
        input_size: int,
        *,
        hidden_size: HiddenSize = 64,
        activation: Annotated[str, OneOf(*ACTIVATIONS), Field(description=PHI)] = "relu",
        low: Annotated[
            float,
            Field(description="least initial recurrent weight u, drawn evenly from low to high"),
        ] = 0.0,
        high: Annotated[
            float,
            Field(
                description=(
                    "largest initial recurrent weight u; |u| above 1 lets a unit's gradient grow"
                )
            ),
        ] = 1.0,
        bias: Bias = True,
        recurrent_init: InitOption = "uniform",
        generator: Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ):
        self.activation, self.phi, self.range = activation, ACTIVATIONS[activation], (low, high)
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
        """The recurrent weights, a vector."""
        self.weight_recurrent = nn.Parameter(torch.empty(self.hidden_size, **kind))

    @torch.no_grad()
    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw the weights, the recurrent ones evenly from [low, high]."""
        super().reset_parameters(generator)
        low, high = self.range
        drawn = torch.rand(self.hidden_size, dtype=torch.float64, generator=generator)
        self.weight_recurrent.copy_(low + (high - low) * drawn)

    def _phi_input(self, u_x: Tensor, s_prev: Tensor) -> Tensor:
        """W_ih x_t + b + u h_{t-1}."""
        return u_x + vector(self.weight_recurrent) * s_prev

    def combine(
        self,
        u_x: Float[Tensor, "*batch gates"],
        u_h: Tensor | None,
        s_prev: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state"]:
        """h_t = phi(W_ih x_t + b + u h_{t-1})."""
        return self.phi.function(self._phi_input(u_x, s_prev))

    def derivatives(
        self, u_x: Tensor, u_h: Tensor | None, s_prev: Tensor, s: Tensor
    ) -> Derivatives:
        """dh/du_x = phi' and dh/dh_{t-1} = phi' u."""
        slope = self.phi.derivative(self._phi_input(u_x, s_prev), s)
        by_gates = slope.unsqueeze(-2).unsqueeze(-2)
        by_state = (slope * vector(self.weight_recurrent)).unsqueeze(-2).unsqueeze(-2)
        return Derivatives(by_gates, by_gates, by_state)

    def by_vectors(
        self,
        u_x: Tensor,
        u_h: Tensor | None,
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch blocks vectors hidden"]:
        """dh/du = phi' h_{t-1}."""
        return (
            (self.phi.derivative(self._phi_input(u_x, s_prev), s) * s_prev)
            .unsqueeze(-2)
            .unsqueeze(-2)
        )

    def gates(
        self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Gate]:
        """The hidden units, as one gate."""
        return {"h": Gate(self.phi, self._phi_input(self.preactivations(x, s_prev)[0], s_prev))}
