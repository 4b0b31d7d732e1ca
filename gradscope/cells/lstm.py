"""The LSTM cell with forget gate."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Generator, Tensor

from gradscope.activations import ACTIVATIONS
from gradscope.cells._affine import AffineCell, Local
from gradscope.cells._cell import Gate
from gradscope.errors import GradscopeError
from gradscope.options import Named, component
from gradscope.registry import register


@register("cell", "lstm")
class LSTM(AffineCell):
    """c_t = f c_{t-1} + i g, h_t = o tanh(c_t), with i, f, o = sigmoid(.), g = tanh(.) of W_ih x_t + W_hh h_{t-1} + b.

    State s = [h, c]. Gates in torch's order i, f, g, o: a state dict of torch.nn.LSTM loads. The forget gate decides what
    c keeps: with W_hh = 0, dc_t/dc_k is the product of the forget gates.

    Reference: Hochreiter and Schmidhuber (1997), Long short-term memory; Gers, Schmidhuber and Cummins (2000), Learning
    to forget: the forget gate; Jozefowicz, Zaremba and Sutskever (2015): forget_bias = 1.
    """

    state_blocks = ("h", "c")
    gate_names = ("i", "f", "g", "o")
    additive = True

    def __init__(
        self,
        input_size: int,
        *,
        hidden_size: Annotated[int, Field(ge=1, description="number of units")] = 64,
        forget_bias: Annotated[float | None, Field(description="initial bias of the forget gate; null: as drawn")] = None,
        bias: Annotated[bool, Field(description="whether the gates have biases")] = True,
        recurrent_init: Annotated[Any, Named("init")] = "uniform",
        generator: Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ):
        if forget_bias is not None and not bias:
            raise GradscopeError("forget_bias has nothing to act on where bias is false; leave one of them out")
        self.forget_bias = forget_bias
        super().__init__(
            input_size,
            hidden_size,
            bias=bias,
            init=component("init", recurrent_init),
            generator=generator,
            dtype=dtype,
            device=device,
        )

    @torch.no_grad()
    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw the weights; then bias_ih + bias_hh of the forget gate is ``forget_bias``, where it is given."""
        super().reset_parameters(generator)
        if self.forget_bias is not None and self.bias_ih is not None and self.bias_hh is not None:
            forget = slice(self.hidden_size, 2 * self.hidden_size)
            self.bias_ih[forget] = self.forget_bias
            self.bias_hh[forget] = 0.0

    def combine(
        self, u_x: Float[Tensor, "*batch gates"], u_h: Tensor | None, s_prev: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """c_t = f c_{t-1} + i g and h_t = o tanh(c_t)."""
        i, f, g, o = u_x.chunk(4, dim=-1)
        c = torch.sigmoid(f) * s_prev[..., self.hidden_size :] + torch.sigmoid(i) * torch.tanh(g)
        return torch.cat((torch.sigmoid(o) * torch.tanh(c), c), dim=-1)

    def local(self, u_x: Tensor, u_h: Tensor | None, s_prev: Tensor, s: Tensor) -> Local:
        """dc/d(i, f, g) = (g i', c_{t-1} f', i g'), dc/dc_{t-1} = f; dh follows by o tanh'(c), and dh/do = tanh(c) o'."""
        i, f, g, o = (
            gate(u)
            for gate, u in zip((torch.sigmoid, torch.sigmoid, torch.tanh, torch.sigmoid), u_x.chunk(4, dim=-1), strict=True)
        )
        c_prev, tanh_c = s_prev[..., self.hidden_size :], torch.tanh(s[..., self.hidden_size :])
        to_hidden = o * (1 - tanh_c * tanh_c)
        by_c = torch.stack((g * i * (1 - i), c_prev * f * (1 - f), i * (1 - g * g), torch.zeros_like(o)), dim=-2)
        by_h = to_hidden.unsqueeze(-2) * by_c
        by_h[..., 3, :] = tanh_c * o * (1 - o)
        zero = torch.zeros_like(f)
        by_state = torch.stack((torch.stack((zero, to_hidden * f), -2), torch.stack((zero, f), -2)), dim=-3)
        by_gates = torch.stack((by_h, by_c), dim=-3)
        return Local(by_gates, by_gates, by_state)

    def gates(self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]) -> dict[str, Gate]:
        """input, forget, candidate and output gate."""
        sigmoid, tanh = ACTIVATIONS["sigmoid"], ACTIVATIONS["tanh"]
        parts = self.preactivations(x, s_prev)[0].chunk(4, dim=-1)
        return {name: Gate(tanh if name == "g" else sigmoid, u) for name, u in zip(self.gate_names, parts, strict=True)}

    def outputs(
        self, inputs: Float[Tensor, "time batch input"], state: Float[Tensor, "batch state"]
    ) -> tuple[Float[Tensor, "time batch hidden"], Float[Tensor, "batch state"]]:
        """h_t for all t and the last state, by torch's fused kernel."""
        if self.weight_ih.dim() > 2:
            return super().outputs(inputs, state)
        h, c = (part.contiguous().unsqueeze(0) for part in state.chunk(2, dim=-1))
        weights: list[Tensor] = [
            self.weight_ih,
            self.recurrent_weight(),
            *(b for b in (self.bias_ih, self.bias_hh) if b is not None),
        ]
        output, h, c = torch.lstm(inputs, (h, c), weights, self.bias_ih is not None, 1, 0.0, self.training, False, False)
        return output, torch.cat((h[0], c[0]), dim=-1)
