"""The GRU cell, in torch's form."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gradscope.cells import _gru_passes
from gradscope.cells._affine import AffineCell
from gradscope.cells._affine_equation import Derivatives
from gradscope.cells._cell import TorchModule, register
from gradscope.cells._gru_passes import GRUSteps
from gradscope.cells._products import room
from gradscope.dynamics.activations import (
    ACTIVATIONS,
    Gate,
    sigmoid_complement,
    sigmoid_slope,
    tanh_slope,
)


@register("gru")
class GRU(AffineCell):
    """Gated recurrent unit: one gate shares h between its old value and a candidate.

        r, z = sigmoid(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)
        n = tanh(W_in x_t + b_in + r (W_hn h_{t-1} + b_hn))
        h_t = (1 - z) n + z h_{t-1}

    State s = h. Compared with the LSTM, z and 1 - z take the place of forget and input gate, h and
    c are one, and there is no output gate. The reset gate acts after the recurrent product and z
    keeps the old state, as in torch, whose state dict loads. With W_hh = 0, J_t = diag(z_t).

    Reference: Cho et al. (2014), Learning phrase representations using RNN encoder-decoder; Chung
    et al. (2014).
    """

    gate_names = ("r", "z", "n")
    additive = False

    def combine(
        self,
        u_x: Float[Tensor, "*batch gates"],
        u_h: Tensor | None,
        s_prev: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state"]:
        """h_t = n + z (h_{t-1} - n)."""
        assert u_h is not None
        size = self.hidden_size
        r, z = (u_x[..., : 2 * size] + u_h[..., : 2 * size]).sigmoid_().chunk(2, dim=-1)
        n = torch.addcmul(u_x[..., 2 * size :], r, u_h[..., 2 * size :]).tanh_()
        return torch.lerp(n, s_prev, z)

    def derivatives(
        self, u_x: Tensor, u_h: Tensor | None, s_prev: Tensor, s: Tensor
    ) -> Derivatives:
        """With v = W_hn h_{t-1} + b_hn and u_n what tanh gets:

        dh/du_n = (1 - z) n'            dh/dv = r dh/du_n
        dh/du_r = v r' dh/du_n          dh/du_z = (h_{t-1} - n) z'          dh/dh_{t-1} = z
        """
        assert u_h is not None
        size = self.hidden_size
        u_r, u_z = (u_x[..., : 2 * size] + u_h[..., : 2 * size]).chunk(2, dim=-1)
        r, z, v = torch.sigmoid(u_r), torch.sigmoid(u_z), u_h[..., 2 * size :]
        u_n = torch.addcmul(u_x[..., 2 * size :], r, v)
        n = torch.tanh(u_n)
        # written in place: over a whole sequence these are the largest tensors of the backward pass
        by_input = u_x.new_empty(*u_x.shape[:-1], 1, 3, size)
        by_r, by_z, through_n = by_input.squeeze(-3).unbind(-2)
        one_minus_z = sigmoid_complement(u_z, z)
        torch.mul(tanh_slope(u_n, n), one_minus_z, out=through_n)
        torch.mul(through_n, v, out=by_r).mul_(sigmoid_slope(u_r, r))
        torch.sub(s_prev, n, out=by_z).mul_(z).mul_(one_minus_z)
        by_recurrent = by_input.clone()
        by_recurrent[..., 2, :] *= r.unsqueeze(-2)
        return Derivatives(by_input, by_recurrent, z.unsqueeze(-2).unsqueeze(-2))

    def scan_keeping(
        self,
        inputs: Float[Tensor, "time *batch input"],
        state: Float[Tensor, "*batch state"],
        weight_hh: Float[Tensor, "*trial gates hidden"],
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """As ``AffineEquation.scan_keeping``; the gates are kept, and written in place."""
        u, by_step = self.inputs_of_gates(inputs, self.bias_ih)
        shape = len(inputs), state.shape[:-1], self.hidden_size
        states = room(state, len(inputs) + 1, *shape[1:])
        states[0] = state
        steps = GRUSteps(u, torch.empty_like(u), room(u, *shape))
        _gru_passes.scan(by_step, steps, states, weight_hh, self.bias_hh)
        return states, steps

    def backpropagate_kept(
        self,
        kept: tuple[Tensor, ...],
        s_prev: Float[Tensor, "time *batch state"],
        s: Float[Tensor, "time *batch state"],
        adjoints: Float[Tensor, "time+1 *batch state"],
        weight_hh: Float[Tensor, "*trial gates hidden"],
    ) -> tuple[Float[Tensor, "time *batch gates"], Float[Tensor, "time *batch gates"]]:
        """As ``AffineEquation.backpropagate_kept``."""
        return _gru_passes.backpropagate(GRUSteps(*kept), s_prev, adjoints, weight_hh)

    def torch_module(self) -> tuple[TorchModule, dict[str, object]]:
        """torch.nn.GRU."""
        return nn.GRU, {}

    def gates(
        self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Gate]:
        """Reset gate, update gate and candidate."""
        u_x, u_h = self.preactivations(x, s_prev)
        assert u_h is not None
        size, sigmoid = self.hidden_size, ACTIVATIONS["sigmoid"]
        r, z = (u_x[..., : 2 * size] + u_h[..., : 2 * size]).chunk(2, dim=-1)
        n = torch.addcmul(u_x[..., 2 * size :], torch.sigmoid(r), u_h[..., 2 * size :])
        return {"r": Gate(sigmoid, r), "z": Gate(sigmoid, z), "n": Gate(ACTIVATIONS["tanh"], n)}
