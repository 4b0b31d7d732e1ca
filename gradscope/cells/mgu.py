"""The minimal gated unit: a GRU with a single gate."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.cells._cell import register
from gradscope.cells._gated import GatedCell, affine, rows
from gradscope.dynamics.activations import ACTIVATIONS, Gate, sigmoid_complement, tanh_slope


@register("mgu")
class MGU(GatedCell):
    """The minimal gated unit, whose only gate serves as reset gate and as update gate.

        f = sigmoid(W_f x_t + U_f h_{t-1})
        n = tanh(W_n x_t + U_n (f h_{t-1}))
        h_t = (1 - f) h_{t-1} + f n

    State s = h.

    Reference: Zhou, Wu, Zhang and Zhou (2016), Minimal gated unit for recurrent neural networks.
    """

    gate_names = ("f", "n")
    two_biases = False

    def _preactivations(self, x: Tensor, s: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(u_f, what tanh sees, U_f, U_n)."""
        assert self.weight_hh is not None
        weight_f, weight_n = self.weight_hh.chunk(2, dim=-2)
        u_f, u_n = affine(x, self.weight_ih, self.bias_ih).chunk(2, dim=-1)
        u_f = u_f + affine(s, weight_f)
        return u_f, u_n + affine(torch.sigmoid(u_f) * s, weight_n), weight_f, weight_n

    def forward(
        self, x: Float[Tensor, "*batch input"], s: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """One step."""
        u_f, u_n, _, _ = self._preactivations(x, s)
        return torch.lerp(s, torch.tanh(u_n), torch.sigmoid(u_f))

    @torch.no_grad()
    def jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state state"]:
        """diag(1 - f) + diag((n - h) f') U_f + diag(f n') U_n (diag(f) + diag(h f') U_f)."""
        u_f, u_n, weight_f, weight_n = self._preactivations(x, s_prev)
        f, n = torch.sigmoid(u_f), torch.tanh(u_n)
        keep = sigmoid_complement(u_f, f)
        slope = f * keep
        inner = rows(s_prev * slope, weight_f) + torch.diag_embed(f)
        weight_n = weight_n if weight_n.dim() == 2 else weight_n.unsqueeze(-3)
        through = (f * tanh_slope(u_n, n)).unsqueeze(-1) * (weight_n @ inner)
        return through + rows((n - s_prev) * slope, weight_f) + torch.diag_embed(keep)

    def gates(
        self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Gate]:
        """The gate and the candidate."""
        u_f, u_n, _, _ = self._preactivations(x, s_prev)
        return {"f": Gate(ACTIVATIONS["sigmoid"], u_f), "n": Gate(ACTIVATIONS["tanh"], u_n)}
