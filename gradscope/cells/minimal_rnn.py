"""minimalRNN: an embedded input, and one gate."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from gradscope.cells._cell import register
from gradscope.cells._gated import GatedCell, TensorKind, affine, rows
from gradscope.dynamics.activations import ACTIVATIONS, Gate, sigmoid_slope


@register("minimal_rnn")
class MinimalRNN(GatedCell):
    """An embedded input that one gate blends into the state.

        z = tanh(W_ih x_t + b_z)        u = sigmoid(U_z z + W_hh h_{t-1} + b_u)
        h_t = u h_{t-1} + (1 - u) z

    State s = h.

    Reference: Chen (2017), MinimalRNN: toward more interpretable and trainable recurrent neural
    networks; Chen, Pennington and Schoenholz (2018), Dynamical isometry and a mean field theory of
    RNNs.
    """

    gate_names = ("u",)

    def add_parameters(self, kind: TensorKind) -> None:
        """U_z, from the embedded input to the gate."""
        self.weight_zu = nn.Parameter(torch.empty(self.hidden_size, self.hidden_size, **kind))

    @torch.no_grad()
    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw the weights; U_z like a recurrent matrix."""
        super().reset_parameters(generator)
        self.weight_zu.copy_(self.init.recurrent(self.hidden_size, generator))

    def _preactivations(self, x: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        """(preactivation of u, z)."""
        assert self.weight_hh is not None
        z = torch.tanh(affine(x, self.weight_ih, self.bias_ih))
        return affine(z, self.weight_zu) + affine(s, self.weight_hh, self.bias_hh), z

    def forward(
        self, x: Float[Tensor, "*batch input"], s: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """One step."""
        u, z = self._preactivations(x, s)
        return torch.lerp(z, s, torch.sigmoid(u))

    @torch.no_grad()
    def jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state state"]:
        """diag(u) + diag((h - z) u') W_hh."""
        assert self.weight_hh is not None
        preactivation, z = self._preactivations(x, s_prev)
        u = torch.sigmoid(preactivation)
        return torch.diag_embed(u) + rows(
            (s_prev - z) * sigmoid_slope(preactivation, u), self.weight_hh
        )

    def gates(
        self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Gate]:
        """The gate."""
        return {"u": Gate(ACTIVATIONS["sigmoid"], self._preactivations(x, s_prev)[0])}
