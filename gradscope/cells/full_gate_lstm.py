"""The LSTM with full gate recurrence."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from gradscope.cells._cell import register
from gradscope.cells._gated import GatedCell, TensorKind, affine, rows
from gradscope.dynamics.activations import ACTIVATIONS, Gate, sigmoid_slope, tanh_slope


@register("full_gate_lstm")
class FullGateLSTM(GatedCell):
    """The LSTM with full gate recurrence: gates see the gates of the step before.

        i, f, o = sigmoid(W_ih x_t + W_hh h_{t-1} + W_gates [i, f, o]_{t-1} + b)
        g = tanh(W_ih x_t + W_hh h_{t-1} + b)
        c_t = f c_{t-1} + i g        h_t = o tanh(c_t)

    State s = [h, c, i, f, o], since the cell carries all of these forward.

    Reference: Hochreiter and Schmidhuber (1997), Long short-term memory, in its first form; Greff
    et al. (2017), LSTM: a search space odyssey: FGR.
    """

    state_blocks = ("h", "c", "i", "f", "o")
    gate_names = ("i", "f", "g", "o")
    two_biases = False

    def add_parameters(self, kind: TensorKind) -> None:
        """W_gates, from i, f, o to i, f, o."""
        self.weight_gates = nn.Parameter(
            torch.empty(3 * self.hidden_size, 3 * self.hidden_size, **kind)
        )

    @torch.no_grad()
    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw the weights; each block of W_gates like a recurrent matrix."""
        super().reset_parameters(generator)
        for row in self.weight_gates.split(self.hidden_size, dim=0):
            for block in row.split(self.hidden_size, dim=1):
                block.copy_(self.init.recurrent(self.hidden_size, generator))

    def _preactivations(self, x: Tensor, s: Tensor) -> tuple[Tensor, ...]:
        """(u_i, u_f, u_g, u_o)."""
        assert self.weight_hh is not None
        size = self.hidden_size
        u = affine(x, self.weight_ih, self.bias_ih) + affine(s[..., :size], self.weight_hh)
        i, f, g, o = u.chunk(4, dim=-1)
        by_i, by_f, by_o = affine(s[..., 2 * size :], self.weight_gates).chunk(3, dim=-1)
        return i + by_i, f + by_f, g, o + by_o

    def forward(
        self, x: Float[Tensor, "*batch input"], s: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """One step."""
        u_i, u_f, u_g, u_o = self._preactivations(x, s)
        i, f, o = torch.sigmoid(u_i), torch.sigmoid(u_f), torch.sigmoid(u_o)
        c = f * s[..., self.hidden_size : 2 * self.hidden_size] + i * torch.tanh(u_g)
        return torch.cat((o * torch.tanh(c), c, i, f, o), dim=-1)

    @torch.no_grad()
    def jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state state"]:
        """The rows of h, c, i, f and o one below another.

            di = diag(i') K_i        df = diag(f') K_f        do = diag(o') K_o
            dc = diag(f) + diag(c_{t-1}) df + diag(g) di + diag(i g') K_g
            dh = diag(tanh(c)) do + diag(o tanh'(c)) dc

        with K = du/ds of each preactivation.
        """
        assert self.weight_hh is not None
        size = self.hidden_size
        u_i, u_f, u_g, u_o = self._preactivations(x, s_prev)
        i, f, g, o = torch.sigmoid(u_i), torch.sigmoid(u_f), torch.tanh(u_g), torch.sigmoid(u_o)
        c_prev, c = s_prev[..., size : 2 * size], s[..., size : 2 * size]
        shown = torch.tanh(c)
        recurrent, between = self.weight_hh.chunk(4, dim=-2), self.weight_gates.chunk(3, dim=-2)
        gap = torch.zeros_like(recurrent[0])
        none = torch.zeros_like(between[0])
        onto = [
            torch.cat((w, gap, k), dim=-1)
            for w, k in zip(recurrent, (*between[:2], none, between[2]), strict=True)
        ]
        d_i, d_f, d_o = (
            rows(sigmoid_slope(u, value), k)
            for u, value, k in ((u_i, i, onto[0]), (u_f, f, onto[1]), (u_o, o, onto[3]))
        )
        d_g = rows(tanh_slope(u_g, g), onto[2])
        d_c = c_prev.unsqueeze(-1) * d_f + g.unsqueeze(-1) * d_i + i.unsqueeze(-1) * d_g
        d_c[..., size : 2 * size] += torch.diag_embed(f)
        d_h = shown.unsqueeze(-1) * d_o + (o * tanh_slope(c, shown)).unsqueeze(-1) * d_c
        return torch.cat((d_h, d_c, d_i, d_f, d_o), dim=-2)

    def gates(
        self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Gate]:
        """Input gate, forget gate, candidate and output gate."""
        sigmoid, tanh = ACTIVATIONS["sigmoid"], ACTIVATIONS["tanh"]
        parts = zip(self.gate_names, self._preactivations(x, s_prev), strict=True)
        return {name: Gate(tanh if name == "g" else sigmoid, u) for name, u in parts}
