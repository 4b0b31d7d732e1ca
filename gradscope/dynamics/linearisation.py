"""Linearisation: the derivative of many steps at once, ready to be applied again and again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.errors import GradscopeError


class Linearisation(ABC):
    """ds_t = J_t ds_{t-1} + (ds_t/dx_t) dx_t + (d+s_t/dW) dW at the steps of a trace.

    None of these matrices is formed.
    """

    @abstractmethod
    def vjp(
        self, cotangent: Float[Tensor, "time batch state"]
    ) -> tuple[Float[Tensor, "time batch state"], Float[Tensor, "time batch input"]]:
        """(J_t^T a, (ds_t/dx_t)^T a)."""

    @abstractmethod
    def jvp(
        self,
        tangent: Float[Tensor, "time batch state"],
        by_input: Float[Tensor, "time batch input"] | None = None,
    ) -> Float[Tensor, "time batch state"]:
        """J_t v, and (ds_t/dx_t) w more where a tangent of the inputs is given."""

    @abstractmethod
    def by_parameters(
        self,
        cotangent: Float[Tensor, "time batch state"],
        names: Collection[str] | None = None,
    ) -> dict[str, Tensor]:
        """sum over steps and batch of a_t^T d+s_t/dW, for the parameters named, or for all."""

    @abstractmethod
    def at(self, steps: slice) -> Linearisation:
        """The same for some of the steps."""

    def vjp_by_gate(
        self, cotangent: Float[Tensor, "time batch state"]
    ) -> dict[str, Float[Tensor, "time batch state"]]:
        """J_t^T a by the way it takes: through each gate's recurrent weights, or directly.

        The parts add up to ``vjp``. A cell without known gates has one part, ``whole``.
        """
        return {"whole": self.vjp(cotangent)[0]}

    def backpropagate(
        self,
        adjoints: Float[Tensor, "time+1 batch state"],
        by_input: Float[Tensor, "time batch input"],
    ) -> None:
        """The adjoint recursion a_t = dl_t/ds_t + J_{t+1}^T a_{t+1}, in reverse time, in place.

        Args:
            adjoints: dl_t/ds_t, which becomes a_t = dL/ds_t.
            by_input: takes dL/dx_t.
        """
        for t in range(len(by_input) - 1, -1, -1):
            carried, received = self.at(slice(t, t + 1)).vjp(adjoints[t + 1 : t + 2])
            adjoints[t] += carried[0]
            by_input[t] = received[0]


class AutogradLinearisation(Linearisation):
    """By automatic differentiation of the step, for any cell.

    Args:
        step: (x_t, s_{t-1}) -> s_t, for any number of steps at once.
        parameters: that the step uses, by name.
        x: inputs of the steps.
        s_prev: states before them.

    Raises:
        GradscopeError: if autograd sees no way from the state and input to the result.
    """

    def __init__(
        self,
        step: Callable[[Tensor, Tensor], Tensor],
        parameters: Mapping[str, Tensor],
        x: Float[Tensor, "*time batch input"],
        s_prev: Float[Tensor, "*time batch state"],
    ):
        self.step, self.parameters = step, parameters
        self.x, self.s_prev = x.detach().requires_grad_(), s_prev.detach().requires_grad_()
        with torch.enable_grad():
            self.after = step(self.x, self.s_prev)
        if self.after.grad_fn is None:
            raise GradscopeError(
                "the cell's step is not differentiable: its result does not depend on the state "
                "and input by operations that autograd knows (look for detach(), .data, numpy, "
                "rounding or comparisons)"
            )

    def vjp(
        self, cotangent: Float[Tensor, "time batch state"]
    ) -> tuple[Float[Tensor, "time batch state"], Float[Tensor, "time batch input"]]:
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
        moved = torch.zeros_like(x) if by_input is None else by_input
        with torch.no_grad():
            return torch.func.jvp(self.step, (x, s_prev), (moved, tangent))[1]

    def by_parameters(
        self,
        cotangent: Float[Tensor, "time batch state"],
        names: Collection[str] | None = None,
    ) -> dict[str, Tensor]:
        """By one backward pass."""
        chosen = {n: p for n, p in self.parameters.items() if names is None or n in names}
        if not chosen:
            return {}
        gradients = torch.autograd.grad(
            self.after,
            list(chosen.values()),
            cotangent,
            retain_graph=True,
            materialize_grads=True,
            allow_unused=True,
        )
        return dict(zip(chosen, gradients, strict=True))

    def backpropagate(
        self,
        adjoints: Float[Tensor, "time+1 batch state"],
        by_input: Float[Tensor, "time batch input"],
    ) -> None:
        """The adjoint recursion, each step linearised by itself."""
        for t in range(len(by_input) - 1, -1, -1):
            step = AutogradLinearisation(self.step, self.parameters, self.x[t], self.s_prev[t])
            received, carried = torch.autograd.grad(
                step.after, (step.x, step.s_prev), adjoints[t + 1], materialize_grads=True
            )
            adjoints[t] += carried
            by_input[t] = received

    def at(self, steps: slice) -> AutogradLinearisation:
        """Linearised anew."""
        return AutogradLinearisation(self.step, self.parameters, self.x[steps], self.s_prev[steps])


class MaskedLinearisation(Linearisation):
    """Of steps that some sequences do not take: m times the step's own, (1 - m) the identity.

    Args:
        inner: as if every sequence took every step.
        mask: m, 1 where a step is taken and 0 where the state is held.
    """

    def __init__(self, inner: Linearisation, mask: Float[Tensor, "time batch 1"]):
        self.inner, self.mask = inner, mask

    def vjp(
        self, cotangent: Float[Tensor, "time batch state"]
    ) -> tuple[Float[Tensor, "time batch state"], Float[Tensor, "time batch input"]]:
        """m J^T a + (1 - m) a; inputs of steps not taken receive nothing."""
        by_state, by_input = self.inner.vjp(self.mask * cotangent)
        return by_state + (1 - self.mask) * cotangent, by_input

    def jvp(
        self,
        tangent: Float[Tensor, "time batch state"],
        by_input: Float[Tensor, "time batch input"] | None = None,
    ) -> Float[Tensor, "time batch state"]:
        """m J v + (1 - m) v."""
        return self.mask * self.inner.jvp(tangent, by_input) + (1 - self.mask) * tangent

    def by_parameters(
        self,
        cotangent: Float[Tensor, "time batch state"],
        names: Collection[str] | None = None,
    ) -> dict[str, Tensor]:
        """Of the steps that are taken."""
        return self.inner.by_parameters(self.mask * cotangent, names)

    def vjp_by_gate(
        self, cotangent: Float[Tensor, "time batch state"]
    ) -> dict[str, Float[Tensor, "time batch state"]]:
        """The ways through the step, and ``held`` for the steps not taken."""
        ways = self.inner.vjp_by_gate(self.mask * cotangent)
        return {**ways, "held": (1 - self.mask) * cotangent}

    def at(self, steps: slice) -> MaskedLinearisation:
        """Of these steps."""
        return MaskedLinearisation(self.inner.at(steps), self.mask[steps])
