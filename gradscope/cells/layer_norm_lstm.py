"""The LSTM with layer normalisation."""

from __future__ import annotations

from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Generator, Tensor, nn

from gradscope.cells._cell import register
from gradscope.cells._gated import (
    Bias,
    GatedCell,
    HiddenSize,
    InitOption,
    TensorKind,
    affine,
    set_gate_bias,
    vector,
)
from gradscope.dynamics.activations import ACTIVATIONS, Gate, sigmoid_slope, tanh_slope
from gradscope.errors import GradscopeError

_EPSILON = 1e-5


@register("layer_norm_lstm")
class LayerNormLSTM(GatedCell):
    """The LSTM with layer normalisation N of its preactivations and of the cell it shows.

        u = N(W_ih x_t) + N(W_hh h_{t-1}) + b        N(u) = gain (u - mean(u)) / sqrt(var(u) + 1e-5)
        i, f, o = sigmoid(u_i, u_f, u_o)             g = tanh(u_g)
        c_t = f c_{t-1} + i g                        h_t = o tanh(N(c_t))

    State s = [h, c]. N of the preactivations is over all four gates together; N of c also adds a
    shift.

    Reference: Ba, Kiros and Hinton (2016), Layer normalization.
    """

    of_start = frozenset({"recurrent_init", "forget_bias"})
    state_blocks = ("h", "c")
    gate_names = ("i", "f", "g", "o")
    two_biases = False

    def __init__(
        self,
        input_size: int,
        *,
        hidden_size: HiddenSize = 64,
        forget_bias: Annotated[
            float | None,
            Field(
                description=(
                    "initial bias of the forget gate, 1 starts it open at f = 0.73; null: as "
                    "recurrent_init draws it"
                )
            ),
        ] = None,
        bias: Bias = True,
        recurrent_init: InitOption = "uniform",
        generator: Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ):
        if forget_bias is not None and not bias:
            raise GradscopeError(
                "forget_bias has nothing to act on where bias is false; leave one of them out"
            )
        self.forget_bias = forget_bias
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
        """The gains of the three normalisations, and the shift of the one of c."""
        gates = 4 * self.hidden_size
        self.gain_ih, self.gain_hh = (nn.Parameter(torch.empty(gates, **kind)) for _ in range(2))
        self.gain_c, self.shift_c = (
            nn.Parameter(torch.empty(self.hidden_size, **kind)) for _ in range(2)
        )

    @torch.no_grad()
    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw the weights; set gains to 1, the shift to 0, the forget bias to ``forget_bias``."""
        super().reset_parameters(generator)
        for gain in (self.gain_ih, self.gain_hh, self.gain_c):
            gain.fill_(1.0)
        self.shift_c.zero_()
        if self.forget_bias is not None:
            set_gate_bias(self, "f", torch.full((self.hidden_size,), self.forget_bias))

    def _parts(self, x: Tensor, s: Tensor) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
        """(the gates' preactivations, c_{t-1}, W_hh h_{t-1})."""
        assert self.weight_hh is not None
        h, c = s.chunk(2, dim=-1)
        recurrent = affine(h, self.weight_hh)
        u = (
            vector(self.gain_ih) * _normal(affine(x, self.weight_ih))[0]
            + vector(self.gain_hh) * _normal(recurrent)[0]
        )
        if self.bias_ih is not None:
            u = u + vector(self.bias_ih)
        return u.chunk(4, dim=-1), c, recurrent

    def forward(
        self, x: Float[Tensor, "*batch input"], s: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """One step."""
        (i, f, g, o), c, _ = self._parts(x, s)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        shown = torch.tanh(vector(self.gain_c) * _normal(c)[0] + vector(self.shift_c))
        return torch.cat((torch.sigmoid(o) * shown, c), dim=-1)

    @torch.no_grad()
    def jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state state"]:
        """With K = dN(W_hh h_{t-1})/dh_{t-1}:

        dc/dh_{t-1} = sum_g diag(dc/du_g) K_g        dc/dc_{t-1} = diag(f)
        dh = diag(o tanh') dN(c) + diag(tanh(N(c)) o') K_o
        """
        assert self.weight_hh is not None
        (u_i, u_f, u_g, u_o), c_prev, recurrent = self._parts(x, s_prev)
        i, f, g, o = torch.sigmoid(u_i), torch.sigmoid(u_f), torch.tanh(u_g), torch.sigmoid(u_o)
        weight = self.weight_hh if self.weight_hh.dim() == 2 else self.weight_hh.unsqueeze(-3)
        through = _onto(vector(self.gain_hh), recurrent, weight).chunk(4, dim=-2)
        by_c = (
            g * sigmoid_slope(u_i, i),
            c_prev * sigmoid_slope(u_f, f),
            i * tanh_slope(u_g, g),
        )
        c_by_h = sum(d.unsqueeze(-1) * k for d, k in zip(by_c, through[:3], strict=True))
        assert isinstance(c_by_h, Tensor)
        normal, _ = _normal(s[..., self.hidden_size :])
        scaled = vector(self.gain_c) * normal + vector(self.shift_c)
        shown = torch.tanh(scaled)
        eye = torch.eye(self.hidden_size, dtype=x.dtype, device=x.device)
        h_by_c = (o * tanh_slope(scaled, shown)).unsqueeze(-1) * _onto(
            vector(self.gain_c), s[..., self.hidden_size :], eye
        )
        h_by_h = h_by_c @ c_by_h + (shown * sigmoid_slope(u_o, o)).unsqueeze(-1) * through[3]
        top = torch.cat((h_by_h, h_by_c * f.unsqueeze(-2)), dim=-1)
        return torch.cat((top, torch.cat((c_by_h, torch.diag_embed(f)), dim=-1)), dim=-2)

    def gates(
        self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Gate]:
        """Input gate, forget gate, candidate and output gate."""
        sigmoid, tanh = ACTIVATIONS["sigmoid"], ACTIVATIONS["tanh"]
        parts = zip(self.gate_names, self._parts(x, s_prev)[0], strict=True)
        return {name: Gate(tanh if name == "g" else sigmoid, u) for name, u in parts}


def _normal(u: Tensor) -> tuple[Tensor, Tensor]:
    """(u - mean(u)) / deviation, and the deviation."""
    centred = u - u.mean(-1, keepdim=True)
    deviation = (centred.square().mean(-1, keepdim=True) + _EPSILON).sqrt()
    return centred / deviation, deviation


def _onto(gain: Tensor, u: Tensor, weight: Tensor) -> Tensor:
    """diag(gain) dN(u)/du W = diag(gain / deviation) (W - 1 mean(W) - y (y^T W) / n), y = N(u)."""
    y, deviation = _normal(u)
    centred = weight - weight.mean(-2, keepdim=True)
    shared = y.unsqueeze(-1) * (y.unsqueeze(-2) @ weight) / u.shape[-1]
    return (gain / deviation).unsqueeze(-1) * (centred - shared)
