"""JANET: an LSTM with a forget gate only."""

from __future__ import annotations

from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Generator, Tensor

from gradscope.cells._affine import AffineCell
from gradscope.cells._affine_equation import Derivatives
from gradscope.cells._cell import register
from gradscope.cells._gated import Bias, HiddenSize, InitOption, chrono_biases, set_gate_bias
from gradscope.dynamics.activations import ACTIVATIONS, Gate, sigmoid_slope, tanh_slope
from gradscope.errors import GradscopeError


@register("janet")
class JANET(AffineCell):
    """The LSTM reduced to its forget gate ("just another network").

        f = sigmoid(u_f)        g = tanh(u_g)        u = W_ih x_t + W_hh h_{t-1} + b
        h_t = f h_{t-1} + sigmoid(beta - u_f) g

    State s = h. For beta = 0 the factor of g is 1 - f. With ``chrono`` = T the bias of the forget
    gate is drawn as ln U(1, T - 1).

    Reference: van der Westhuizen and Lasenby (2018), The unreasonable effectiveness of the forget
    gate.
    """

    of_start = frozenset({"recurrent_init", "chrono"})
    gate_names = ("f", "g")
    additive = True

    def __init__(
        self,
        input_size: int,
        *,
        hidden_size: HiddenSize = 64,
        beta: Annotated[
            float,
            Field(
                description=(
                    "how much of the candidate enters, as sigmoid(beta - u_f) g; 0 is the "
                    "coupled gate 1 - f"
                )
            ),
        ] = 1.0,
        chrono: Annotated[
            int | None,
            Field(
                ge=3,
                description=(
                    "longest dependency expected, in steps: b_f ~ ln U(1, chrono - 1) at the "
                    "start; null: biases as drawn"
                ),
            ),
        ] = None,
        bias: Bias = True,
        recurrent_init: InitOption = "uniform",
        generator: Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ):
        if chrono is not None and not bias:
            raise GradscopeError("chrono needs biases; leave one of chrono and bias: false out")
        self.beta, self.chrono = beta, chrono
        super().__init__(
            input_size,
            hidden_size=hidden_size,
            bias=bias,
            recurrent_init=recurrent_init,
            generator=generator,
            dtype=dtype,
            device=device,
        )

    @torch.no_grad()
    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw the weights; then the bias of the forget gate, if ``chrono`` is given."""
        super().reset_parameters(generator)
        if self.chrono is not None:
            set_gate_bias(self, "f", chrono_biases(self.hidden_size, self.chrono, generator))

    def _parts(self, u_x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """f, the factor of g, and g."""
        u_f, u_g = u_x.chunk(2, dim=-1)
        return torch.sigmoid(u_f), torch.sigmoid(self.beta - u_f), torch.tanh(u_g)

    def combine(
        self,
        u_x: Float[Tensor, "*batch gates"],
        u_h: Tensor | None,
        s_prev: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state"]:
        """h_t = f h_{t-1} + sigmoid(beta - u_f) g."""
        f, write, g = self._parts(u_x)
        return f * s_prev + write * g

    def derivatives(
        self, u_x: Tensor, u_h: Tensor | None, s_prev: Tensor, s: Tensor
    ) -> Derivatives:
        """With w the factor of g: dh/du_f = h_{t-1} f' - w' g, dh/du_g = w g', dh/dh_{t-1} = f."""
        u_f, u_g = u_x.chunk(2, dim=-1)
        f, write, g = self._parts(u_x)
        by_f = s_prev * sigmoid_slope(u_f, f) - g * sigmoid_slope(self.beta - u_f, write)
        by_gates = torch.stack((by_f, write * tanh_slope(u_g, g)), dim=-2).unsqueeze(-3)
        return Derivatives(by_gates, by_gates, f.unsqueeze(-2).unsqueeze(-2))

    def gates(
        self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Gate]:
        """Forget gate and candidate."""
        u_f, u_g = self.preactivations(x, s_prev)[0].chunk(2, dim=-1)
        return {"f": Gate(ACTIVATIONS["sigmoid"], u_f), "g": Gate(ACTIVATIONS["tanh"], u_g)}
