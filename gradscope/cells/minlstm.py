"""minLSTM: an LSTM without recurrent weights."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.cells._affine import AffineCell
from gradscope.cells._affine_equation import Derivatives
from gradscope.cells._cell import register
from gradscope.dynamics.activations import ACTIVATIONS, Gate


@register("minlstm")
class MinLSTM(AffineCell):
    """An LSTM whose gates and candidate depend on the input alone, without recurrent weights.

        f = sigmoid(u_f)        i = sigmoid(u_i)        g = u_g        u = W_ih x_t + b
        h_t = k h_{t-1} + (1 - k) g        with k = f / (f + i)

    State s = h. J_t = diag(k_t) whatever the state.

    Reference: Feng, Tung, Ahmed, Bengio and Hajimirsadeghi (2024), Were RNNs all we needed?
    """

    gate_names = ("f", "i", "g")
    additive = True
    recurrent = False
    two_biases = False

    def combine(
        self,
        u_x: Float[Tensor, "*batch gates"],
        u_h: Tensor | None,
        s_prev: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state"]:
        """h_t = g + k (h_{t-1} - g)."""
        f, i, g = u_x.chunk(3, dim=-1)
        return torch.lerp(g, s_prev, _kept(f, i))

    def derivatives(
        self, u_x: Tensor, u_h: Tensor | None, s_prev: Tensor, s: Tensor
    ) -> Derivatives:
        """dk/du_f = k (1 - k) (1 - f), dk/du_i = -k (1 - k) (1 - i), and dh/du_g = 1 - k.

        And dh/dk = h_{t-1} - g.
        """
        f, i, g = u_x.chunk(3, dim=-1)
        keep, write = _kept(f, i), _kept(i, f)
        slope = (s_prev - g) * keep * write
        by_gates = torch.stack(
            (slope * torch.sigmoid(-f), -slope * torch.sigmoid(-i), write), dim=-2
        ).unsqueeze(-3)
        return Derivatives(by_gates, by_gates, keep.unsqueeze(-2).unsqueeze(-2))

    def gates(
        self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Gate]:
        """Forget gate and input gate, before they are normalised, and candidate."""
        f, i, g = self.preactivations(x, s_prev)[0].chunk(3, dim=-1)
        sigmoid = ACTIVATIONS["sigmoid"]
        return {"f": Gate(sigmoid, f), "i": Gate(sigmoid, i), "g": Gate(ACTIVATIONS["identity"], g)}


def _kept(f: Tensor, i: Tensor) -> Tensor:
    """k = sigmoid(f) / (sigmoid(f) + sigmoid(i)) = sigmoid(ln sigmoid(f) - ln sigmoid(i))."""
    log = torch.nn.functional.logsigmoid
    return torch.sigmoid(log(f) - log(i))
