"""minLSTM: an LSTM whose gates do not see the state."""

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
    """h_t = f' h_{t-1} + i' g, with f' = f / (f + i), i' = i / (f + i), f, i = sigmoid(.), g of
    W_ih x_t + b alone.

    State s = h. J_t = diag(f'_t), whatever the state.

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
        """h_t = g + f' (h_{t-1} - g)."""
        f, i, g = u_x.chunk(3, dim=-1)
        return torch.lerp(g, s_prev, _share(f, i))

    def derivatives(
        self, u_x: Tensor, u_h: Tensor | None, s_prev: Tensor, s: Tensor
    ) -> Derivatives:
        """df'/du_f = f' (1 - f') (1 - f), df'/du_i = -f' (1 - f') (1 - i); dh = (h_{t-1} - g) df'
        and dh/dg = 1 - f'.
        """
        f, i, g = u_x.chunk(3, dim=-1)
        keep = _share(f, i)
        felt = (s_prev - g) * keep * (1 - keep)
        by_gates = torch.stack(
            (felt * torch.sigmoid(-f), -felt * torch.sigmoid(-i), 1 - keep), dim=-2
        ).unsqueeze(-3)
        return Derivatives(by_gates, by_gates, keep.unsqueeze(-2).unsqueeze(-2))

    def gates(
        self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Gate]:
        """Forget gate, input gate (before they share) and candidate."""
        f, i, g = self.preactivations(x, s_prev)[0].chunk(3, dim=-1)
        sigmoid = ACTIVATIONS["sigmoid"]
        return {"f": Gate(sigmoid, f), "i": Gate(sigmoid, i), "g": Gate(ACTIVATIONS["identity"], g)}


def _share(f: Tensor, i: Tensor) -> Tensor:
    """sigmoid(f) / (sigmoid(f) + sigmoid(i)) = sigmoid(ln sigmoid(f) - ln sigmoid(i))."""
    log = torch.nn.functional.logsigmoid
    return torch.sigmoid(log(f) - log(i))
