"""minGRU: a GRU without recurrent weights."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.cells._affine import AffineCell
from gradscope.cells._affine_equation import Derivatives
from gradscope.cells._cell import register
from gradscope.dynamics.activations import ACTIVATIONS, Gate, sigmoid_complement


@register("mingru")
class MinGRU(AffineCell):
    """A GRU whose gate and candidate depend on the input alone, without recurrent weights.

        z = sigmoid(W_z x_t + b_z)        n = W_n x_t + b_n
        h_t = (1 - z) h_{t-1} + z n

    State s = h. J_t = diag(1 - z_t) whatever the state, so that a product of Jacobians over time is
    exactly the product of these gates.

    Reference: Feng, Tung, Ahmed, Bengio and Hajimirsadeghi (2024), Were RNNs all we needed?
    """

    gate_names = ("z", "n")
    additive = True
    recurrent = False
    two_biases = False

    def combine(
        self,
        u_x: Float[Tensor, "*batch gates"],
        u_h: Tensor | None,
        s_prev: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state"]:
        """h_t = h_{t-1} + z (n - h_{t-1})."""
        u_z, n = u_x.chunk(2, dim=-1)
        return torch.lerp(s_prev, n, torch.sigmoid(u_z))

    def derivatives(
        self, u_x: Tensor, u_h: Tensor | None, s_prev: Tensor, s: Tensor
    ) -> Derivatives:
        """dh/du_z = (n - h_{t-1}) z', dh/du_n = z, dh/dh_{t-1} = 1 - z."""
        u_z, n = u_x.chunk(2, dim=-1)
        z = torch.sigmoid(u_z)
        keep = sigmoid_complement(u_z, z)
        by_gates = torch.stack(((n - s_prev) * z * keep, z), dim=-2).unsqueeze(-3)
        return Derivatives(by_gates, by_gates, keep.unsqueeze(-2).unsqueeze(-2))

    def gates(
        self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Gate]:
        """Update gate and candidate."""
        u_z, u_n = self.preactivations(x, s_prev)[0].chunk(2, dim=-1)
        return {"z": Gate(ACTIVATIONS["sigmoid"], u_z), "n": Gate(ACTIVATIONS["identity"], u_n)}
