"""The LSTM cell with forget gate."""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Generator, Tensor, nn

from gradscope.cells._affine_equation import Derivatives
from gradscope.cells._cell import register
from gradscope.cells._gated import InitOption
from gradscope.cells._lstm import LSTMCell
from gradscope.cells._lstm_gates import Form
from gradscope.errors import GradscopeError

Chrono = Annotated[
    int | None,
    Field(
        ge=3,
        description="longest dependency expected: b_f ~ ln U(1, chrono - 1), b_i = -b_f; null: no",
    ),
]
ForgetBias = Annotated[
    float | None, Field(description="initial bias of the forget gate; null: as drawn")
]


@register("lstm")
class LSTM(LSTMCell):
    """c_t = f c_{t-1} + i g, h_t = o tanh(c_t), with i, f, o = sigmoid(u), g = tanh(u) of
    u = W_ih x_t + W_hh h_{t-1} + b.

    State s = [h, c]. Gates in torch's order i, f, g, o: a state dict of torch.nn.LSTM loads. The
    forget gate decides what c keeps: with W_hh = 0, dc_t/dc_k is the product of the forget gates.
    ``lstm_variant`` has the LSTM with one thing left out, and peepholes.

    Reference: Hochreiter and Schmidhuber (1997), Long short-term memory; Gers, Schmidhuber and
    Cummins (2000), Learning to forget: the forget gate; Jozefowicz, Zaremba and Sutskever (2015):
    forget_bias = 1; Tallec and Ollivier (2018), Can recurrent neural networks warp time?: chrono.
    """

    gate_names = ("i", "f", "g", "o")
    form = Form()
    former_options = MappingProxyType({"variant": "np", "peepholes": False})

    def __init__(
        self,
        input_size: int,
        *,
        hidden_size: Annotated[int, Field(ge=1, description="number of units")] = 64,
        forget_bias: ForgetBias = None,
        chrono: Chrono = None,
        bias: Annotated[bool, Field(description="whether the gates have biases")] = True,
        recurrent_init: InitOption = "uniform",
        generator: Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ):
        check_biases(self.form, forget_bias, chrono, bias)
        self.forget_bias, self.chrono = forget_bias, chrono
        super().__init__(
            input_size,
            hidden_size=hidden_size,
            bias=bias,
            recurrent_init=recurrent_init,
            generator=generator,
            dtype=dtype,
            device=device,
        )

    def combine(
        self,
        u_x: Float[Tensor, "*batch gates"],
        u_h: Float[Tensor, "*batch gates"] | None,
        s_prev: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state"]:
        """c_t = f c_{t-1} + i g and h_t = o tanh(c_t)."""
        i, f, g, o = u_x.chunk(4, dim=-1)
        c_prev = s_prev[..., self.hidden_size :]
        c = torch.sigmoid(f) * c_prev + torch.sigmoid(i) * torch.tanh(g)
        return torch.cat((torch.sigmoid(o) * torch.tanh(c), c), dim=-1)

    def derivatives(
        self,
        u_x: Float[Tensor, "*batch gates"],
        u_h: Float[Tensor, "*batch gates"] | None,
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Derivatives:
        """dc/d(i, f, g) = (g i', c_{t-1} f', i g'), dc/dc_{t-1} = f, dh/do = tanh(c) o'.

        And dh/dc = o tanh'(c), which passes on all that c feels.
        """
        c_prev = s_prev[..., self.hidden_size :]
        gates = self.form.gates(self.form.split(u_x), c_prev)
        by_gate = gates.by_gate(self.form, c_prev)
        return self.assembled(by_gate, gates.f, gates.shown_by_cell(self.form))

    def gate_inputs(
        self, u_x: Float[Tensor, "*batch gates"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Tensor]:
        """As they come."""
        return self.form.split(u_x)

    def torch_module(self) -> tuple[type[nn.RNNBase], dict[str, object]]:
        """torch.nn.LSTM."""
        return nn.LSTM, {}

    def outputs(
        self, inputs: Float[Tensor, "time batch input"], state: Float[Tensor, "batch state"]
    ) -> tuple[Float[Tensor, "time batch hidden"], Float[Tensor, "batch state"]]:
        """h_t for all t and the last state, by torch's fused kernel."""
        if self.weight_ih.dim() > 2:
            return super().outputs(inputs, state)
        start = [part.contiguous().unsqueeze(0) for part in state.chunk(2, dim=-1)]
        biases = [bias for bias in (self.bias_ih, self.bias_hh) if bias is not None]
        weights = [self.weight_ih, self.recurrent_weight(), *biases]
        hidden, h, c = torch.lstm(
            inputs, start, weights, bool(biases), 1, 0.0, self.training, False, False
        )
        return hidden, torch.cat((h[0], c[0]), dim=-1)


def check_biases(form: Form, forget_bias: float | None, chrono: int | None, bias: bool) -> None:
    """What is asked of the biases can be had of an LSTM of this form.

    Raises:
        GradscopeError: if not.
    """
    if forget_bias is not None and not bias:
        raise GradscopeError(
            "forget_bias has nothing to act on where bias is false; leave one of them out"
        )
    if forget_bias is not None and (chrono is not None or "f" not in form.names):
        reason = "chrono sets that bias too" if chrono is not None else "there is no forget gate"
        raise GradscopeError(f"forget_bias cannot be used: {reason}; leave it out")
    if chrono is not None and (not bias or not {"i", "f"} <= set(form.names)):
        raise GradscopeError(
            "chrono needs biases and both the input and the forget gate; there are "
            f"{', '.join(form.names)}, and bias is {str(bias).lower()}"
        )
