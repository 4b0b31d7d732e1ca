"""AffineCell: closed forms for every cell whose gates are affine in input and hidden state.

The Jacobian of the full state, the input Jacobian, the linearisation, the adjoint recursion, the
gradients of the weights and a fused unroll are written once for all such cells, from the diagonal
derivatives of their equation (``_affine_equation``).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.cells import _affine_scan
from gradscope.cells._affine_equation import AffineEquation
from gradscope.cells._affine_linearisation import AffineLinearisation
from gradscope.cells._cell import Forced
from gradscope.dynamics.linearisation import Linearisation


class AffineCell(AffineEquation):
    """Base of cells with affine gates; a subclass writes ``combine`` and ``derivatives``."""

    @torch.no_grad()
    def jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state state"]:
        """The step Jacobian in closed form.

            J_t[n i, m j] = sum_g by_recurrent[n g i] W_hh[g i, j] [m = h] + by_state[n m i] [i = j]

        ``[m = h]`` is 1 if block m is h and 0 otherwise; ``[i = j]`` is 1 for a unit with itself.
        """
        local = self.derivatives(*self.preactivations(x, s_prev), s_prev, s)
        size, blocks = self.hidden_size, len(self.state_blocks)
        through_hidden = _rows(local.by_recurrent, self.recurrent_weight(), size)
        if local.by_state is None:
            return through_hidden.flatten(-3, -2)
        full = through_hidden.new_zeros(*through_hidden.shape[:-1], blocks, size)
        full[..., 0, :] = through_hidden
        # (..., N, H, N, H) seen as its diagonal over the two H axes: (..., N, N, H)
        full.diagonal(dim1=-3, dim2=-1).add_(local.by_state)
        return full.flatten(-2).flatten(-3, -2)

    @torch.no_grad()
    def input_jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state input"]:
        """ds_t/dx_t[n i, j] = sum_g by_input[n g i] W_ih[g i, j]."""
        local = self.derivatives(*self.preactivations(x, s_prev), s_prev, s)
        return _rows(local.by_input, self.weight_ih, self.hidden_size).flatten(-3, -2)

    @torch.no_grad()
    def linearise(
        self,
        x: Float[Tensor, "time *batch input"],
        s_prev: Float[Tensor, "time *batch state"],
        s: Float[Tensor, "time *batch state"],
    ) -> Linearisation:
        """The derivative of these steps, in closed form."""
        if self.weight_ih.dim() > 2:
            return super().linearise(x, s_prev, s)
        return AffineLinearisation(self, x, s_prev, s, self.preactivations(x, s_prev))

    def scan(
        self, inputs: Float[Tensor, "time *batch input"], state: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "time+1 *batch state"]:
        """All states; the backward pass is the adjoint recursion in closed form."""
        return _affine_scan.scan(self, inputs, state)

    def outputs(
        self, inputs: Float[Tensor, "time *batch input"], state: Float[Tensor, "*batch state"]
    ) -> tuple[Float[Tensor, "time *batch hidden"], Float[Tensor, "*batch state"]]:
        """h_t for all t and the last state; the backward pass is that of ``scan``."""
        return _affine_scan.outputs(self, inputs, state)

    @torch.no_grad()
    def teacher_forced(
        self,
        inputs: Float[Tensor, "time batch input"],
        state: Float[Tensor, "batch state"],
        hidden: Float[Tensor, "time batch hidden"] | None = None,
    ) -> Forced:
        """As ``Cell.teacher_forced``; the same pass also gives the linearisation of the steps."""
        size, mismatch = self.hidden_size, inputs.new_zeros(len(inputs))
        if hidden is None:
            states, u_x, u_h = self.scan_gates(inputs, state, self.recurrent_weight())
        else:
            u_x, u_h = self._driven(inputs, torch.cat((state[None, :, :size], hidden[:-1])))
            forced, misses = [state], []
            for t, h in enumerate(hidden.unbind(0)):
                free = self.combine(u_x[t], None if u_h is None else u_h[t], forced[-1])
                misses.append(torch.linalg.vector_norm(free[:, :size] - h, ord=torch.inf))
                rest = free[:, size:]
                forced.append(torch.cat((h, rest), dim=-1) if rest.shape[-1] else h)
            states, mismatch = torch.stack(forced), torch.stack(misses)
        linear = AffineLinearisation(self, inputs, states[:-1], states[1:], (u_x, u_h))
        return Forced(states, linear, mismatch)

    def _driven(self, inputs: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor | None]:
        """The preactivations of all steps at once, from known h_0 ... h_{T-1}."""
        if not (self.additive and self.recurrent):
            return self.preactivations(inputs, hidden)
        u_x = self.known_beforehand(inputs)  # summed in place
        u_x.flatten(0, 1).addmm_(hidden.flatten(0, 1), self.recurrent_weight().t())
        return u_x, None


def _rows(
    diagonals: Float[Tensor, "*batch n g h"], weight: Tensor, size: int
) -> Float[Tensor, "*batch n h columns"]:
    """sum_g diag(diagonals[n, g]) weight[g]."""
    gates = weight.split(size, dim=-2)
    if weight.dim() > 2:  # make room for the batch axis behind the trial axis
        gates = tuple(gate.unsqueeze(-3) for gate in gates)
    total = diagonals[..., 0, :].unsqueeze(-1) * gates[0].unsqueeze(-3)
    for g in range(1, len(gates)):
        total.addcmul_(diagonals[..., g, :].unsqueeze(-1), gates[g].unsqueeze(-3))
    return total
