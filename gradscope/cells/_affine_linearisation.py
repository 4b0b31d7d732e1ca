"""The linearisation of cells with affine gates, from the derivatives of their equation."""

from __future__ import annotations

from collections.abc import Callable, Collection

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.cells._affine_equation import (
    AffineEquation,
    Derivatives,
    onto_gates,
    onto_vectors,
)
from gradscope.dynamics.linearisation import Linearisation

Preactivations = tuple[Tensor, Tensor | None]


class AffineLinearisation(Linearisation):
    """Goes through the gradients of the preactivations, from which everything else follows.

        d_h[g] = dL/du_h[g] = sum_n a[n] by_recurrent[n g]
        d_x[g] = dL/du_x[g] = sum_n a[n] by_input[n g]

    Args:
        cell: the cell that took the steps.
        x: the inputs of the steps.
        s_prev: the states before the steps.
        s: the states after the steps.
        u: the preactivations; None makes them when they are first asked for.
        weight_hh: the recurrent matrix; None means the cell's.
    """

    def __init__(
        self,
        cell: AffineEquation,
        x: Float[Tensor, "time batch input"],
        s_prev: Float[Tensor, "time batch state"],
        s: Float[Tensor, "time batch state"],
        u: Preactivations | None = None,
        weight_hh: Tensor | None = None,
    ):
        self.cell, self.x, self.s_prev, self.s = cell, x, s_prev, s
        self.weight_hh = cell.recurrent_weight().detach() if weight_hh is None else weight_hh
        self._u, self._derivatives = u, None

    @property
    def u(self) -> Preactivations:
        """The preactivations at these steps."""
        if self._u is None:
            with torch.no_grad():
                self._u = self.cell.preactivations(self.x, self.s_prev)
        return self._u

    @property
    def derivatives(self) -> Derivatives:
        """The diagonal derivatives at these steps, made when first asked for."""
        if self._derivatives is None:
            with torch.no_grad():
                self._derivatives = self.cell.derivatives(*self.u, self.s_prev, self.s)
        return self._derivatives

    def prepare(self) -> None:
        """The derivatives at all steps."""
        _ = self.derivatives

    def _deltas(self, cotangent: Tensor) -> tuple[Tensor, Tensor]:
        """(d_h, d_x), gates side by side."""
        d_h = onto_gates(cotangent, self.derivatives.by_recurrent)
        return d_h, d_h if self.cell.additive else onto_gates(cotangent, self.derivatives.by_input)

    def _by_block(self, vectors: Tensor, *, row: bool) -> Tensor:
        """State vectors with an axis for their blocks, ready to be multiplied with by_state."""
        blocks, size = len(self.cell.state_blocks), self.cell.hidden_size
        return vectors.unflatten(-1, (1, blocks, size) if row else (blocks, 1, size))

    @torch.no_grad()
    def vjp(
        self, cotangent: Float[Tensor, "*k time batch state"]
    ) -> tuple[Float[Tensor, "*k time batch state"], Float[Tensor, "*k time batch input"]]:
        """(J_t^T a)[m] = sum_n a[n] by_state[n m] + [m = h] d_h W_hh, and d_x W_ih."""
        by_state = self.derivatives.by_state
        d_h, d_x = self._deltas(cotangent)
        through_hidden, by_input = d_h @ self.weight_hh, d_x @ self.cell.weight_ih
        if by_state is None:
            return through_hidden, by_input
        carried = (self._by_block(cotangent, row=False) * by_state).sum(-3)
        carried[..., 0, :] += through_hidden
        return carried.flatten(-2), by_input

    @torch.no_grad()
    def jvp(
        self,
        tangent: Float[Tensor, "*k time batch state"],
        by_input: Float[Tensor, "time batch input"] | None = None,
    ) -> Float[Tensor, "*k time batch state"]:
        """(J_t v)[n] = sum_g by_recurrent[n g] (W_hh v[h])[g] + sum_m by_state[n m] v[m]."""
        cell, local = self.cell, self.derivatives
        shape = (1, len(cell.gate_names), cell.hidden_size)
        u = (cell.hidden(tangent) @ self.weight_hh.mT).unflatten(-1, shape)
        after = (local.by_recurrent * u).sum(-2)
        if local.by_state is not None:
            after += (local.by_state * self._by_block(tangent, row=True)).sum(-2)
        if by_input is not None:
            after += (local.by_input * (by_input @ cell.weight_ih.mT).unflatten(-1, shape)).sum(-2)
        return after.flatten(-2)

    def jvps(
        self, tangents: Float[Tensor, "k time batch state"]
    ) -> Float[Tensor, "k time batch state"]:
        """As ``jvp``, whose products are free in leading axes."""
        return self.jvp(tangents)

    def vjps(
        self, cotangents: Float[Tensor, "k time batch state"]
    ) -> Float[Tensor, "k time batch state"]:
        """As ``vjp``, likewise."""
        return self.vjp(cotangents)[0]

    @torch.no_grad()
    def backpropagate(
        self,
        adjoints: Float[Tensor, "times batch state"],
        by_input: Float[Tensor, "times-1 batch input"],
    ) -> None:
        """The adjoint recursion, with as many steps at a time as fit a cache."""
        for steps in self.cell.cached_steps(*self.x.shape[:2]):
            d_x = self.at(steps).backpropagate_gates(adjoints[steps.start : steps.stop + 1])
            torch.matmul(d_x, self.cell.weight_ih, out=by_input[steps])

    def backpropagate_gates(
        self, adjoints: Float[Tensor, "times batch state"]
    ) -> Float[Tensor, "times-1 batch gates"]:
        """Run the adjoint recursion through these steps in place; return dL/du_x."""
        return self.cell.backpropagate(*self.u, self.s_prev, self.s, adjoints, self.weight_hh)[1]

    @torch.no_grad()
    def vjp_by_gate(
        self, cotangent: Float[Tensor, "time batch state"]
    ) -> dict[str, Float[Tensor, "time batch state"]]:
        """By gate: d_h[g] W_hh[g], which arrives at h; and ``direct``, sum_n a[n] by_state[n m].

        The direct way of an LSTM, for example, goes from c to c through the forget gate.
        """
        size, ways = self.cell.hidden_size, {}
        deltas = self._deltas(cotangent)[0].split(size, dim=-1)
        weights = self.weight_hh.split(size, dim=0)
        for name, delta, weight in zip(self.cell.gate_names, deltas, weights, strict=True):
            ways[name] = torch.zeros_like(cotangent)
            ways[name][..., :size] = delta @ weight
        if (by_state := self.derivatives.by_state) is not None:
            ways["direct"] = (self._by_block(cotangent, row=False) * by_state).sum(-3).flatten(-2)
        return ways

    @torch.no_grad()
    def by_parameters(
        self,
        cotangent: Float[Tensor, "time batch state"],
        names: Collection[str] | None = None,
    ) -> dict[str, Tensor]:
        """Sums over steps and batch of d_x^T x, d_h^T h_{t-1}, d_x and d_h."""
        d_h, d_x = (delta.flatten(0, -2) for delta in self._deltas(cotangent))
        cell, known = self.cell, dict(self.cell.named_parameters())
        ways: dict[str, Callable[[], Tensor]] = {
            "weight_ih": lambda: d_x.mT @ self.x.flatten(0, -2),
            "weight_hh": lambda: d_h.mT @ cell.hidden(self.s_prev).flatten(0, -2),
            "bias_ih": lambda: d_x.sum(0),
            "bias_hh": lambda: d_h.sum(0),
        }
        if cell.vectors:
            onto = onto_vectors(cotangent, cell.by_vectors(*self.u, self.s_prev, self.s))
            ways |= {name: lambda i=i: onto[i] for i, name in enumerate(cell.vectors)}
        chosen = [name for name in known if names is None or name in names]
        derived = [
            name for name in chosen if name not in ways or (name == "weight_hh" and cell.derived)
        ]
        gradients = {name: ways[name]() for name in chosen if name not in derived}
        if derived:
            with torch.enable_grad():
                weight = cell.recurrent_weight()
            by_weight = torch.autograd.grad(
                weight,
                [known[name] for name in derived],
                ways["weight_hh"](),
                materialize_grads=True,
                allow_unused=True,
            )
            gradients |= dict(zip(derived, by_weight, strict=True))
        return {name: gradients[name] for name in chosen}

    def at(self, steps: slice) -> AffineLinearisation:
        """Views of some of the steps."""
        part = self.views(steps)
        if self._u is not None:
            u_x, u_h = self._u
            part._u = u_x[steps], None if u_h is None else u_h[steps]
        if self._derivatives is not None:
            part._derivatives = self._derivatives.at(steps)
        return part

    def views(self, steps: slice) -> AffineLinearisation:
        """Views of some of the steps, without what is made on demand."""
        return AffineLinearisation(
            self.cell,
            self.x[steps],
            self.s_prev[steps],
            self.s[steps],
            weight_hh=self.weight_hh,
        )
