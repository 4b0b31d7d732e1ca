"""Linearisation: the derivative of many steps at once, ready to be applied again and again."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.errors import GradscopeError

#: numbers of all tangents below which two backward passes are faster than torch's forward mode,
#: whose operations with a constant take a millisecond each
_SMALL = 2**15


class Linearisation(ABC):
    """The derivative of the steps of a trace, applied to vectors without forming a matrix.

        ds_t = J_t ds_{t-1} + (ds_t/dx_t) dx_t + (d+s_t/dW) dW

    Get one with ``trace.linearisation()``; each method serves all steps of the trace at once.
    """

    @abstractmethod
    def vjp(
        self, cotangent: Float[Tensor, "time *batch state"]
    ) -> tuple[Float[Tensor, "time *batch state"], Float[Tensor, "time *batch input"]]:
        """(J_t^T a, (ds_t/dx_t)^T a)."""

    @abstractmethod
    def jvp(
        self,
        tangent: Float[Tensor, "time *batch state"],
        by_input: Float[Tensor, "time *batch input"] | None = None,
    ) -> Float[Tensor, "time *batch state"]:
        """J_t v, plus (ds_t/dx_t) w where a tangent w of the inputs is given."""

    def jvps(
        self, tangents: Float[Tensor, "k time *batch state"]
    ) -> Float[Tensor, "k time *batch state"]:
        """J_t v for several tangents of the same steps."""
        return torch.stack([self.jvp(tangent) for tangent in tangents])

    def vjps(
        self, cotangents: Float[Tensor, "k time *batch state"]
    ) -> Float[Tensor, "k time *batch state"]:
        """J_t^T a for several cotangents of the same steps."""
        return torch.stack([self.vjp(cotangent)[0] for cotangent in cotangents])

    @abstractmethod
    def by_parameters(
        self,
        cotangent: Float[Tensor, "time *batch state"],
        names: Collection[str] | None = None,
    ) -> dict[str, Tensor]:
        """sum over steps and batch of a_t^T d+s_t/dW, for the parameters named, or for all."""

    @abstractmethod
    def at(self, steps: slice) -> Linearisation:
        """The same for some of the steps."""

    def prepare(self) -> None:
        """Make at once what steps taken one by one with ``at`` would each make for themselves."""
        return

    def vjp_by_gate(
        self, cotangent: Float[Tensor, "time *batch state"]
    ) -> dict[str, Float[Tensor, "time *batch state"]]:
        """J_t^T a split by the way it takes: through each gate's recurrent weights, or directly.

        The parts add up to ``vjp``. A cell without known gates has one part, ``whole``.
        """
        return {"whole": self.vjp(cotangent)[0]}

    def backpropagate(
        self,
        adjoints: Float[Tensor, "times *batch state"],
        by_input: Float[Tensor, "times-1 *batch input"],
    ) -> None:
        """The adjoint recursion a_t = dl_t/ds_t + J_{t+1}^T a_{t+1}, in place, in reverse time.

        Args:
            adjoints: holds dl_t/ds_t for t = 0 .. T and is overwritten with a_t = dL/ds_t.
            by_input: is overwritten with dL/dx_t for t = 1 .. T.
        """
        for t in range(len(by_input) - 1, -1, -1):
            carried, received = self.at(slice(t, t + 1)).vjp(adjoints[t + 1 : t + 2])
            adjoints[t] += carried[0]
            by_input[t] = received[0]


def backwards(after: Tensor, sources: Sequence[Tensor], cotangents: Tensor) -> list[Tensor]:
    """The pullbacks of cotangents ``(k, ...)`` of one result to each of the sources, ``(k, ...)``.

    In one pass where all operations can be batched, else one by one.
    """
    pulled = _pulled(after, sources, cotangents)
    return [
        source.new_zeros(len(cotangents), *source.shape) if found is None else found
        for found, source in zip(pulled, sources, strict=True)
    ]


def _pulled(after: Tensor, sources: Sequence[Tensor], cotangents: Tensor) -> list[Tensor | None]:
    """As ``backwards``; None for a source that is not reached."""

    def pull(cotangent: Tensor, batched: bool) -> tuple[Tensor | None, ...]:
        return torch.autograd.grad(
            after,
            sources,
            cotangent,
            retain_graph=True,
            allow_unused=True,
            is_grads_batched=batched,
        )

    if len(cotangents) > 1:
        with warnings.catch_warnings(), suppress(RuntimeError):  # what cannot be batched
            warnings.simplefilter("ignore")  # of what is slow when it is
            return list(pull(cotangents, batched=True))
    each = zip(*(pull(cotangent, batched=False) for cotangent in cotangents), strict=True)
    return [
        None if parts[0] is None else torch.stack([part for part in parts if part is not None])
        for parts in each
    ]


def jacobian_by_rows(
    linear: Linearisation, s_prev: Float[Tensor, "time *batch state"]
) -> Float[Tensor, "time *batch state state"]:
    """J_t of all steps, axes (..., out, in): row by row of an identity, J_t^T e_i.

    Args:
        linear: the steps.
        s_prev: states before them, for their shape and kind.
    """
    units = torch.eye(s_prev.shape[-1], dtype=s_prev.dtype, device=s_prev.device)
    rows = [linear.vjp(unit.expand(s_prev.shape).contiguous())[0] for unit in units]
    return torch.stack(rows, dim=-2)


class AutogradLinearisation(Linearisation):
    """The linearisation of any cell, by automatic differentiation of its step.

    Args:
        step: maps (x_t, s_{t-1}) to s_t, for any number of steps at once.
        parameters: what the step uses, by name.
        x: inputs of the steps.
        s_prev: states before them.

    Raises:
        GradscopeError: if autograd cannot follow the step from state and input to its result.
    """

    def __init__(
        self,
        step: Callable[[Tensor, Tensor], Tensor],
        parameters: Mapping[str, Tensor],
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
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
        self, cotangent: Float[Tensor, "time *batch state"]
    ) -> tuple[Float[Tensor, "time *batch state"], Float[Tensor, "time *batch input"]]:
        """One backward pass over all steps, each by itself."""
        by_input, by_state = torch.autograd.grad(
            self.after, (self.x, self.s_prev), cotangent, retain_graph=True, materialize_grads=True
        )
        return by_state, by_input

    def jvp(
        self,
        tangent: Float[Tensor, "time *batch state"],
        by_input: Float[Tensor, "time *batch input"] | None = None,
    ) -> Float[Tensor, "time *batch state"]:
        """Forward-mode differentiation of the step."""
        x, s_prev = self.x.detach(), self.s_prev.detach()
        moved = torch.zeros_like(x) if by_input is None else by_input
        with torch.no_grad():
            return torch.func.jvp(self.step, (x, s_prev), (moved, tangent))[1]

    def jvps(
        self, tangents: Float[Tensor, "k time *batch state"]
    ) -> Float[Tensor, "k time *batch state"]:
        """Forward mode for all tangents at once, or, for few numbers, two backward passes.

        Either serves where the other does not.

        Raises:
            GradscopeError: if the step has neither a forward mode nor a second derivative.
        """
        ways = [self._forward, self._backward_twice]
        if tangents.numel() < _SMALL:
            ways.reverse()
        causes: list[str] = []
        for way in ways:
            try:
                return way(tangents)
            except (RuntimeError, ValueError) as error:  # NotImplementedError is one
                causes.append(str(error).splitlines()[0])
        raise GradscopeError(
            "Jacobian-vector products of the step need a forward-mode derivative or a second one, "
            f"and it has neither ({'; '.join(causes)}); adjoints need neither"
        )

    def _forward(self, tangents: Tensor) -> Tensor:
        x, s_prev = self.x.detach(), self.s_prev.detach()

        def product(tangent: Tensor) -> Tensor:
            return torch.func.jvp(lambda s: self.step(x, s), (s_prev,), (tangent,))[1]

        with torch.no_grad():
            return torch.func.vmap(product, randomness="same")(tangents)

    def _backward_twice(self, tangents: Tensor) -> Tensor:
        """J v as the derivative by u of J^T u, which is linear, so that u may be anything."""
        u = torch.zeros_like(self.after, requires_grad=True)
        with torch.enable_grad():
            (pulled,) = torch.autograd.grad(
                self.after, self.s_prev, u, create_graph=True, materialize_grads=True
            )
        if pulled.requires_grad:
            (found,) = _pulled(pulled, [u], tangents)
            if found is not None:
                return found
        if bool(self.vjp(torch.ones_like(self.after))[0].any()):
            raise RuntimeError("its backward pass cannot be differentiated")
        return torch.zeros_like(tangents)  # the state does not reach the result

    def vjps(
        self, cotangents: Float[Tensor, "k time *batch state"]
    ) -> Float[Tensor, "k time *batch state"]:
        """One backward pass for all cotangents, where the step's operations can be batched."""
        return backwards(self.after, [self.s_prev], cotangents)[0]

    def by_parameters(
        self,
        cotangent: Float[Tensor, "time *batch state"],
        names: Collection[str] | None = None,
    ) -> dict[str, Tensor]:
        """One backward pass to the parameters; those that are frozen have none."""
        chosen = {
            name: parameter
            for name, parameter in self.parameters.items()
            if (names is None or name in names) and parameter.requires_grad
        }
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
        adjoints: Float[Tensor, "times *batch state"],
        by_input: Float[Tensor, "times-1 *batch input"],
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
        """These steps, linearised again by themselves."""
        return AutogradLinearisation(self.step, self.parameters, self.x[steps], self.s_prev[steps])


class MaskedLinearisation(Linearisation):
    """The linearisation of steps that only some sequences take; the others hold their state.

    With a mask m the step is s_t = m F(x_t, s_{t-1}) + (1 - m) s_{t-1}.

    Args:
        inner: the linearisation as if every sequence took every step.
        mask: m, 1 where a step is taken and 0 where the state is held.
    """

    def __init__(self, inner: Linearisation, mask: Float[Tensor, "time *batch 1"]):
        self.inner, self.mask = inner, mask

    def vjp(
        self, cotangent: Float[Tensor, "time *batch state"]
    ) -> tuple[Float[Tensor, "time *batch state"], Float[Tensor, "time *batch input"]]:
        """m J_t^T a + (1 - m) a; the inputs of steps that are not taken receive zero."""
        by_state, by_input = self.inner.vjp(self.mask * cotangent)
        return by_state + (1 - self.mask) * cotangent, by_input

    def jvp(
        self,
        tangent: Float[Tensor, "time *batch state"],
        by_input: Float[Tensor, "time *batch input"] | None = None,
    ) -> Float[Tensor, "time *batch state"]:
        """m J_t v + (1 - m) v."""
        return self.mask * self.inner.jvp(tangent, by_input) + (1 - self.mask) * tangent

    def by_parameters(
        self,
        cotangent: Float[Tensor, "time *batch state"],
        names: Collection[str] | None = None,
    ) -> dict[str, Tensor]:
        """The sum over the steps that are taken."""
        return self.inner.by_parameters(self.mask * cotangent, names)

    def vjp_by_gate(
        self, cotangent: Float[Tensor, "time *batch state"]
    ) -> dict[str, Float[Tensor, "time *batch state"]]:
        """The ways through the step, and ``held`` for the steps that are not taken."""
        ways = self.inner.vjp_by_gate(self.mask * cotangent)
        return {**ways, "held": (1 - self.mask) * cotangent}

    def prepare(self) -> None:
        """That of the steps as if every sequence took them."""
        self.inner.prepare()

    def at(self, steps: slice) -> MaskedLinearisation:
        """The same for some of the steps."""
        return MaskedLinearisation(self.inner.at(steps), self.mask[steps])
