"""Linearisation: the derivative of many steps at once, ready to be applied again and again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.errors import GradscopeError

if TYPE_CHECKING:
    from gradscope.cells._cell import Cell


class Linearisation(ABC):
    """ds_t = J_t ds_{t-1} + (ds_t/dx_t) dx_t + (d+s_t/dW) dW at the steps of a trace, none of these
    matrices formed.
    """

    @abstractmethod
    def vjp(self, cotangent: Float[Tensor, "time batch state"]) -> tuple[Tensor, Tensor]:
        """(J_t^T a, (ds_t/dx_t)^T a), shapes (time, batch, state) and (time, batch, input)."""

    @abstractmethod
    def jvp(
        self,
        tangent: Float[Tensor, "time batch state"],
        by_input: Float[Tensor, "time batch input"] | None = None,
    ) -> Float[Tensor, "time batch state"]:
        """J_t v, and (ds_t/dx_t) w more where a tangent of the inputs is given."""

    @abstractmethod
    def by_parameters(
        self, cotangent: Float[Tensor, "time batch state"], names: Collection[str] | None = None
    ) -> dict[str, Tensor]:
        """sum over steps and batch of a_t^T d+s_t/dW, for the parameters named, or for all."""

    def vjp_by_gate(
        self, cotangent: Float[Tensor, "time batch state"]
    ) -> dict[str, Float[Tensor, "time batch state"]]:
        """J_t^T a taken apart by where it passes: through each gate's recurrent weights, or
        directly from state to state.

        The parts add up to ``vjp``. A cell without known gates has one part, ``whole``.
        """
        return {"whole": self.vjp(cotangent)[0]}

    def descend(
        self,
        adjoints: Float[Tensor, "time+1 batch state"],
        by_input: Float[Tensor, "time batch input"],
    ) -> bool:
        """``Cell.pullback`` over these steps in place: dl_t/ds_t becomes dL/ds_t, and dL/dx_t is
        put into ``by_input``.

        Where what is at hand makes that cheaper than from the cell; elsewhere nothing is done and
        the answer is False.
        """
        return False

    @abstractmethod
    def at(self, steps: slice) -> Linearisation:
        """The same for some of the steps."""


class AutogradLinearisation(Linearisation):
    """By automatic differentiation of ``forward``, for any cell."""

    def __init__(
        self,
        cell: Cell,
        x: Float[Tensor, "time batch input"],
        s_prev: Float[Tensor, "time batch state"],
    ):
        self.cell, self.x, self.s_prev = (
            cell,
            x.detach().requires_grad_(),
            s_prev.detach().requires_grad_(),
        )
        self.named = dict(cell.named_parameters())
        with torch.enable_grad():
            self.after = cell(self.x, self.s_prev)
        if self.after.grad_fn is None:
            raise GradscopeError(
                "the cell's step is not differentiable: its result does not depend on the state and"
                " input by operations that autograd knows (look for detach(), .data, numpy,"
                " rounding or comparisons)"
            )

    def vjp(self, cotangent: Float[Tensor, "time batch state"]) -> tuple[Tensor, Tensor]:
        """By one backward pass over all steps, each by itself."""
        by_input, by_state = torch.autograd.grad(
            self.after, (self.x, self.s_prev), cotangent, retain_graph=True, materialize_grads=True
        )
        return by_state, by_input

    def jvp(
        self,
        tangent: Float[Tensor, "time batch state"],
        by_input: Float[Tensor, "time batch input"] | None = None,
    ) -> Float[Tensor, "time batch state"]:
        """By forward-mode differentiation."""
        x, s_prev = self.x.detach(), self.s_prev.detach()
        with torch.no_grad():
            return torch.func.jvp(
                self.cell.forward,
                (x, s_prev),
                (torch.zeros_like(x) if by_input is None else by_input, tangent),
            )[1]

    def by_parameters(
        self, cotangent: Float[Tensor, "time batch state"], names: Collection[str] | None = None
    ) -> dict[str, Tensor]:
        """By one backward pass."""
        chosen = {
            name: value for name, value in self.named.items() if names is None or name in names
        }
        if not chosen:
            return {}
        found = torch.autograd.grad(
            self.after,
            list(chosen.values()),
            cotangent,
            retain_graph=True,
            materialize_grads=True,
            allow_unused=True,
        )
        return dict(zip(chosen, found, strict=True))

    def at(self, steps: slice) -> AutogradLinearisation:
        """Linearised anew."""
        return AutogradLinearisation(self.cell, self.x[steps], self.s_prev[steps])
