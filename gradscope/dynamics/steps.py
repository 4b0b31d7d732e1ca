"""Steps: a step function of one's own, s_t = F_t(s_{t-1}), the same each time it is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils import _pytree as pytree

from gradscope.dynamics.carriers import ProductCarrier, Products
from gradscope.dynamics.linearisation import AutogradLinearisation
from gradscope.dynamics.packing import Nest, Packing
from gradscope.errors import GradscopeError

#: what a user gives: state -> state, or (state, input) -> state
AnyStep = Callable[..., Any]

#: rounding, in units of eps, that a step taken again may differ by
_AGAIN = 1e3


class Steps:
    """A step function on vectors, one for each start, that can be taken again and again.

    Random numbers that the step draws from torch are the same at each step t whenever that step is
    taken, so that a run, its derivative and a run nearby see the same noise; the program's own
    random state is left as it was.

    Args:
        step: ``state -> state``, or ``(state, input) -> state`` where inputs are given.
        state: s_0, a tensor or a nest of tensors, each ``(batch, ...)``; starts must not meet
            within the step.
        time: steps that will be taken.
        inputs: a tensor or a nest of tensors ``(time, ...)``, of which step t is given
            ``inputs[t - 1]``.
        batched: whether the state has the leading axis of starts.
        seed: of the noise.

    Attributes:
        start: s_0, ``(batch, size)``.
        packing: how states become vectors.
        cut: tensors of the state that the first step returns without a gradient, by name.

    Raises:
        GradscopeError: for a state, inputs or a step that cannot be followed: that changes shapes,
            cannot be differentiated, is not the same when it is taken again, or in which starts
            meet.
    """

    def __init__(
        self,
        step: AnyStep,
        state: Nest,
        time: int,
        *,
        inputs: Nest = None,
        batched: bool = True,
        seed: int = 0,
    ):
        if not callable(step):
            raise GradscopeError(f"the step should be a function, got {type(step).__name__}")
        _check_time(time, inputs)
        self.step, self.inputs, self.seed, self.time = step, inputs, seed, time
        self.packing = Packing(state, batched=batched)
        self.start = self.packing.pack(state).detach().clone()
        self.cut: list[str] = []
        # whether the step differentiates within, as an inner loop does
        self._within = False
        self._check_first()

    @property
    def batch(self) -> int:
        """Number of starts."""
        return self.packing.batch

    def __call__(self, t: int, s: Float[Tensor, "batch size"]) -> Float[Tensor, "batch size"]:
        """s_t from s_{t-1}, with its graph where s requires grad."""
        return self.packing.pack(self._nest_after(t, s))

    def after(self, t: int, s: Float[Tensor, "batch size"]) -> Float[Tensor, "batch size"]:
        """s_t from s_{t-1}, without a graph, whether finite or not."""
        if not self._within:
            try:
                with torch.no_grad():
                    return self(t, s)
            except RuntimeError:
                self._within = True
        with torch.enable_grad():
            return self(t, s.detach().requires_grad_()).detach()

    def states(self) -> Iterator[tuple[int, Float[Tensor, "batch size"]]]:
        """(t, s_t) from t = 0 on.

        Raises:
            GradscopeError: for a state that is not finite; it names the step.
        """
        s = self.start
        yield 0, s
        for t in range(1, self.time + 1):
            s = self.after(t, s)
            self.check_finite(t, s)
            yield t, s

    def check_finite(self, t: int, s: Float[Tensor, "batch size"]) -> None:
        """Check that the states at t are numbers.

        Raises:
            GradscopeError: if not.
        """
        if bool(s.sum().isfinite()) or bool(s.isfinite().all()):
            return
        lost = int((~s.isfinite()).any(-1).sum())
        raise GradscopeError(
            f"the state is not finite at t = {t}, of {lost} of {self.batch} starts: stop before "
            f"(T = {t - 1}), leave these starts out, or look for what overflows or divides by zero"
        )

    def linearised(self, t: int, s: Float[Tensor, "batch size"]) -> AutogradLinearisation:
        """The derivative of step t at s_{t-1}; its ``after[0]`` is s_t."""
        x = s.new_zeros(1, len(s), 0)
        return AutogradLinearisation(lambda _, s: self(t, s[0])[None], {}, x, s[None])

    def carriers(self) -> Iterator[ProductCarrier]:
        """What carries tangents along each step; states are made on the way, and not kept.

        Raises:
            GradscopeError: for a state that is not finite.
        """
        s = self.start
        for t in range(1, self.time + 1):
            linear = self.linearised(t, s)
            if t == 1:
                _check_transposed(linear)
            before, s = s, linear.after[0].detach()
            self.check_finite(t, s)
            yield ProductCarrier(self._products(t, before, linear), s.dtype, t)
            del linear

    def _products(
        self, t: int, s: Float[Tensor, "batch size"], linear: AutogradLinearisation
    ) -> Products:
        """J_t v: at first of what is linearised, which is not kept; later of the step taken again.

        A carrier may be held for many steps, whose graphs would take many times their states.
        """
        made = [linear]

        def apply(vectors: Tensor) -> Tensor:
            at_hand = made.pop() if made else self.linearised(t, s)
            return at_hand.jvps(vectors[:, None])[:, 0].detach()

        return apply

    def _nest_after(self, t: int, s: Float[Tensor, "batch size"]) -> Nest:
        state = self.packing.unpack(s)
        generator = _generator(s.device)
        before = generator.get_state()
        generator.manual_seed(self.seed + t)
        try:
            if self.inputs is None:
                return self.step(state)
            given = pytree.tree_map_only(Tensor, lambda x: x[t - 1], self.inputs)
            return self.step(state, given)
        finally:
            generator.set_state(before)

    def _check_first(self) -> None:
        """Take the first step, twice, and check that it can be followed."""
        s = self.start.clone().requires_grad_()
        with torch.enable_grad():
            nest = self._nest_after(1, s)
            self.packing.check_like(nest)
            leaves = pytree.tree_leaves(nest)
            after = self.packing.pack(nest)
        self.cut = [
            name
            for name, leaf in zip(self.packing.names, leaves, strict=True)
            if not leaf.requires_grad
        ]
        if not after.requires_grad:
            raise GradscopeError(
                "the step is not differentiable: what it returns does not depend on the state by "
                "operations that autograd knows (look for detach(), .data, .item(), numpy, "
                "no_grad, rounding or comparisons)"
            )
        if not self._again(after):  # it may be another one without gradients
            self._within = True
            if not self._again(after):
                raise GradscopeError(
                    "the step is not the same when it is taken again: it should return a new state "
                    "and keep nothing between calls, and draw noise from torch's own generator, "
                    "which gradscope holds fixed, or take it from inputs="
                )
        self._check_apart(s, after)

    def _again(self, after: Tensor) -> bool:
        """Whether the first step, taken again, makes the same states."""
        size = float(after.detach().abs().max().clamp_min(1.0))
        tolerance = _AGAIN * size * self.packing.epsilon
        again = self.after(1, self.start)
        return torch.allclose(again, after.detach(), rtol=0, atol=tolerance, equal_nan=True)

    def _check_apart(self, s: Tensor, after: Tensor) -> None:
        """Check that no start acts on another: none moves the first alone."""
        if self.batch == 1:
            return
        try:
            (moved,) = torch.autograd.grad(after[0].sum(), s, materialize_grads=True)
        except RuntimeError as error:
            raise GradscopeError(
                f"the step cannot be differentiated: {str(error).splitlines()[0]}"
            ) from error
        if bool((moved[1:] != 0).any()):
            raise GradscopeError(
                "starts meet within the step: the first one's next state depends on the others "
                "(look for batch normalisation, means over the batch, or a state whose first axis "
                "is not the starts); give one start alone, or put such parts into eval mode"
            )


def _check_transposed(linear: AutogradLinearisation) -> None:
    """Check that u (J v) = (J^T u) v for one random u and v, as a custom backward pass may fail to.

    Raises:
        GradscopeError: if not.
    """
    generator = torch.Generator().manual_seed(0)
    shape, dtype = linear.after.shape, linear.after.dtype
    u, v = (torch.randn(shape, dtype=dtype, generator=generator).to(linear.after) for _ in "uv")
    pushed, pulled = linear.jvps(v[None])[0].detach(), linear.vjp(u)[0]
    forward, back = (u * pushed).sum(), (pulled * v).sum()
    size = float(u.norm() * pushed.norm() + pulled.norm() * v.norm())
    if not float((forward - back).abs()) <= 1e4 * torch.finfo(dtype).eps * size:
        raise GradscopeError(
            "the step's forward derivative is not the transpose of its backward one "
            f"(u J v = {float(forward):.3g} by the one, {float(back):.3g} by the other): look for "
            "a custom autograd function, a detach() or an inner gradient without create_graph=True"
        )


def _check_time(time: int, inputs: Nest) -> None:
    if not isinstance(time, int) or isinstance(time, bool) or time < 1:
        raise GradscopeError(f"T should be a whole number of steps, at least 1, got {time}")
    tensors = [x for x in pytree.tree_leaves(inputs) if isinstance(x, Tensor)]
    if inputs is not None and not tensors:
        raise GradscopeError("inputs hold no tensor (time, ...); a step without inputs needs none")
    for x in tensors:
        if x.dim() == 0 or len(x) < time:
            raise GradscopeError(
                f"inputs should have a leading axis of {time} steps or more, got {tuple(x.shape)}"
            )


def _generator(device: torch.device) -> torch.Generator:
    """The generator that torch's functions draw from on a device."""
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        return torch.cuda.default_generators[index]
    return torch.default_generator
