"""AntisymmetricRNN: a stable differential equation, followed in Euler steps."""

from __future__ import annotations

from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Generator, Tensor

from gradscope.cells._affine import AffineCell
from gradscope.cells._affine_equation import Derivatives
from gradscope.cells._cell import register
from gradscope.cells._gated import Bias, HiddenSize, InitOption
from gradscope.dynamics.activations import ACTIVATIONS, Gate, tanh_slope


@register("antisymmetric")
class Antisymmetric(AffineCell):
    """An Euler step of a stable differential equation, whose Jacobian stays near the identity.

        h_t = h_{t-1} + epsilon tanh((W - W^T - gamma I) h_{t-1} + W_ih x_t + b)

    State s = h. The eigenvalues of W - W^T are imaginary, so that those of
    J_t = I + epsilon diag(tanh') (W - W^T - gamma I) stay near the unit circle; the diffusion gamma
    makes up for what Euler's steps add.

    Reference: Chang, Chen, Haber and Chi (2019), AntisymmetricRNN: a dynamical system view on
    recurrent neural networks.
    """

    gate_names = ("h",)
    additive = True
    derived = True

    def __init__(
        self,
        input_size: int,
        *,
        hidden_size: HiddenSize = 64,
        step: Annotated[
            float,
            Field(
                gt=0,
                description="epsilon, the step of Euler's method: how far a step moves the state",
            ),
        ] = 0.1,
        diffusion: Annotated[
            float,
            Field(
                ge=0,
                description="gamma, a damping against what Euler's method adds; 0 is none",
            ),
        ] = 0.01,
        bias: Bias = True,
        recurrent_init: InitOption = "uniform",
        generator: Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ):
        self.step, self.diffusion = step, diffusion
        super().__init__(
            input_size,
            hidden_size=hidden_size,
            bias=bias,
            recurrent_init=recurrent_init,
            generator=generator,
            dtype=dtype,
            device=device,
        )

    def recurrent_weight(self) -> Float[Tensor, "*trial hidden hidden"]:
        """W - W^T - gamma I."""
        weight = self.weight_hh
        assert weight is not None
        identity = torch.eye(self.hidden_size, dtype=weight.dtype, device=weight.device)
        return weight - weight.mT - self.diffusion * identity

    def combine(
        self,
        u_x: Float[Tensor, "*batch gates"],
        u_h: Tensor | None,
        s_prev: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state"]:
        """h_t = h_{t-1} + epsilon tanh(u)."""
        return s_prev + self.step * torch.tanh(u_x)

    def derivatives(
        self, u_x: Tensor, u_h: Tensor | None, s_prev: Tensor, s: Tensor
    ) -> Derivatives:
        """dh/du = epsilon tanh', dh/dh_{t-1} = 1."""
        slope = (self.step * tanh_slope(u_x, torch.tanh(u_x))).unsqueeze(-2).unsqueeze(-2)
        return Derivatives(slope, slope, torch.ones_like(slope))

    def gates(
        self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Gate]:
        """The tanh, which gives the rate of change."""
        return {"h": Gate(ACTIVATIONS["tanh"], self.preactivations(x, s_prev)[0])}
