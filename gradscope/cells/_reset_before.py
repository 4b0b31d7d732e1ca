"""Cells whose reset gate acts on the state before the recurrent matrix of the candidate.

    r = sigmoid(u_r)        z = sigmoid(u_z)        n = tanh(u_n + W_n (r h_{t-1}))
    h_t = k h_{t-1} + (1 - k) n        with k = z or k = 1 - z

The cells differ in what z sees of the state and in what u_n is made of. Two recurrent matrices
follow one another in n, so the derivatives of a step are not diagonal: the Jacobian is written out
here, and everything else follows from the equation by autograd.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.cells._gated import GatedCell, affine, rows
from gradscope.dynamics.activations import (
    ACTIVATIONS,
    Gate,
    sigmoid_complement,
    sigmoid_slope,
    tanh_slope,
)


class ResetBefore(GatedCell):
    """Base of these cells; the parameters are in blocks r, z, n."""

    gate_names = ("r", "z", "n")
    two_biases = False
    #: what z sees of h_{t-1}
    update_sees: ClassVar[Literal["state", "squashed", "nothing"]] = "state"
    #: whether z is the share of the old state that is kept, k = z, rather than k = 1 - z
    keeps: ClassVar[bool] = True
    #: whether u_n is tanh(W_ih x_t) rather than W_ih x_t
    squashed_input: ClassVar[bool] = False

    def _weights(self) -> tuple[Tensor, Tensor, Tensor]:
        assert self.weight_hh is not None
        r, z, n = self.weight_hh.chunk(3, dim=-2)
        return r, z, n

    def _preactivations(self, x: Tensor, s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(u_r, u_z, what tanh sees)."""
        weight_r, weight_z, weight_n = self._weights()
        u_r, u_z, u_n = affine(x, self.weight_ih, self.bias_ih).chunk(3, dim=-1)
        u_r = u_r + affine(s, weight_r)
        if self.update_sees != "nothing":
            u_z = u_z + affine(torch.tanh(s) if self.update_sees == "squashed" else s, weight_z)
        u_n = torch.tanh(u_n) if self.squashed_input else u_n
        return u_r, u_z, u_n + affine(torch.sigmoid(u_r) * s, weight_n)

    def forward(
        self, x: Float[Tensor, "*batch input"], s: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """One step."""
        _, u_z, u_n = self._preactivations(x, s)
        keep = torch.sigmoid(u_z if self.keeps else -u_z)
        return torch.lerp(torch.tanh(u_n), s, keep)

    @torch.no_grad()
    def jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state state"]:
        """The sum of the ways through k h, through z, and through n.

            diag(k) + diag((h - n) k') W_z diag(psi')
                + diag((1 - k) n') W_n (diag(r) + diag(h r') W_r)

        with psi(h) what z sees of h.
        """
        weight_r, weight_z, weight_n = self._weights()
        u_r, u_z, u_n = self._preactivations(x, s_prev)
        sign = 1 if self.keeps else -1
        r, n, keep = torch.sigmoid(u_r), torch.tanh(u_n), torch.sigmoid(sign * u_z)
        write = sigmoid_complement(sign * u_z, keep)
        inner = rows(s_prev * sigmoid_slope(u_r, r), weight_r) + torch.diag_embed(r)
        weight_n = weight_n if weight_n.dim() == 2 else weight_n.unsqueeze(-3)
        identity = torch.eye(self.hidden_size, dtype=x.dtype, device=x.device)
        jacobian = rows(write * tanh_slope(u_n, n), identity) @ (weight_n @ inner)
        if self.update_sees != "nothing":
            through_z = rows(sign * (s_prev - n) * keep * write, weight_z)
            if self.update_sees == "squashed":
                through_z = through_z * tanh_slope(s_prev, torch.tanh(s_prev)).unsqueeze(-2)
            jacobian = jacobian + through_z
        return jacobian + torch.diag_embed(keep)

    def gates(
        self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Gate]:
        """Reset gate, update gate and candidate."""
        sigmoid, tanh = ACTIVATIONS["sigmoid"], ACTIVATIONS["tanh"]
        kinds = zip(
            self.gate_names, (sigmoid, sigmoid, tanh), self._preactivations(x, s_prev), strict=True
        )
        return {name: Gate(activation, u) for name, activation, u in kinds}
