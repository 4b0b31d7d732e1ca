"""The LSTM cell with forget gate."""

from __future__ import annotations

from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from gradscope.cells._affine_equation import Derivatives
from gradscope.cells._cell import TorchModule, register
from gradscope.cells._gated import Bias, HiddenSize, InitOption
from gradscope.cells._lstm import Chrono, ForgetBias, LSTMCell, check_biases
from gradscope.cells._lstm_gates import Form
from gradscope.dynamics.activations import sigmoid_slope, tanh_slope


@register("lstm")
class LSTM(LSTMCell):
    """Long short-term memory: gates decide what the cell c takes in, keeps and shows.

        i = sigmoid(u_i)    f = sigmoid(u_f)    o = sigmoid(u_o)    g = tanh(u_g)
        c_t = f c_{t-1} + i g                   h_t = o tanh(c_t)
        u = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh

    State s = [h, c]. The gates are in torch's order i, f, g, o, so that a state dict of
    torch.nn.LSTM loads. With W_hh = 0, dc_t/dc_k is the product of the forget gates. The LSTM with
    one thing left out, or with peepholes, is ``lstm_variant``.

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
        hidden_size: HiddenSize = 64,
        forget_bias: ForgetBias = None,
        chrono: Chrono = None,
        bias: Bias = True,
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
        c_prev = s_prev[..., self.hidden_size :]
        i, f, g, o = _gates(u_x)
        c = f * c_prev + i * g
        h = o * torch.tanh(c)
        return torch.cat((h, c), dim=-1)

    def derivatives(
        self,
        u_x: Float[Tensor, "*batch gates"],
        u_h: Float[Tensor, "*batch gates"] | None,
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Derivatives:
        """dc/du of i, f and g, dh/du of o, dc_t/dc_{t-1} = f, and dh/dc = o tanh'(c)."""
        c_prev = s_prev[..., self.hidden_size :]
        u_i, u_f, u_g, u_o = u_x.chunk(4, dim=-1)
        i, f, g, o = _gates(u_x)
        c = f * c_prev + i * g
        tanh_c = torch.tanh(c)
        by_gate = {
            "i": g * sigmoid_slope(u_i, i),
            "f": c_prev * sigmoid_slope(u_f, f),
            "g": i * tanh_slope(u_g, g),
            "o": tanh_c * sigmoid_slope(u_o, o),
        }
        return self.assembled(by_gate, c_by_c=f, h_by_c=o * tanh_slope(c, tanh_c))

    def gate_inputs(
        self, u_x: Float[Tensor, "*batch gates"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Tensor]:
        """u of each gate, by name."""
        return self.form.split(u_x)

    def torch_module(self) -> tuple[TorchModule, dict[str, object]]:
        """torch.nn.LSTM."""
        return nn.LSTM, {}

    def outputs(
        self, inputs: Float[Tensor, "time *batch input"], state: Float[Tensor, "*batch state"]
    ) -> tuple[Float[Tensor, "time *batch hidden"], Float[Tensor, "*batch state"]]:
        """h_t for all t and the last state, by torch's fused kernel, one trial after another."""
        start = tuple(part.contiguous().unsqueeze(0) for part in state.chunk(2, dim=-1))
        biases = [bias for bias in (self.bias_ih, self.bias_hh) if bias is not None]
        weights = (self.weight_ih, self.recurrent_weight(), *biases)
        if self.weight_ih.dim() == 2:
            return self._fused(inputs, start, weights)
        each = zip(
            inputs.unbind(1),
            zip(*(part.unbind(1) for part in start), strict=True),
            zip(*(weight.unbind(0) for weight in weights), strict=True),
            strict=True,
        )
        hidden, last = zip(*(self._fused(*of_trial) for of_trial in each), strict=True)
        return torch.stack(hidden, dim=1), torch.stack(last)

    def _fused(
        self, inputs: Tensor, start: tuple[Tensor, ...], weights: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor]:
        """(h_t for all t, s_T) of one trial."""
        hidden, h, c = torch.lstm(
            inputs, start, weights, self.bias_ih is not None, 1, 0.0, self.training, False, False
        )
        return hidden, torch.cat((h[0], c[0]), dim=-1)


def _gates(u: Float[Tensor, "*batch gates"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """i, f, g and o."""
    i, f, g, o = u.chunk(4, dim=-1)
    return torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
