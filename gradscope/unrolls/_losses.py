"""The loss at the end of an unroll: one number for each start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.packing import Packing
from gradscope.errors import GradscopeError

#: losses that have a name
NamedLoss = Literal["projection", "mean_square"]
#: what a user gives: a function of the state, or the name of one
AnyLoss = Callable[..., Any] | NamedLoss

#: of each named loss what it is, in words
NAMES: dict[str, str] = {
    "projection": "c · s, with one random unit vector c",
    "mean_square": "the mean square of s",
}


class LossGradient(NamedTuple):
    """A loss and its gradient by the last state, for each start."""

    loss: Float[Tensor, " batch"]
    gradient: Float[Tensor, "batch size"]


class Loss:
    """A loss of packed states.

    Args:
        given: a function of a state as the step has it, to one number for each start; or a name.
        packing: how states become vectors.
        seed: of the projection.

    Attributes:
        words: what it is.

    Raises:
        GradscopeError: for a name that does not exist, or what is no function.
    """

    def __init__(self, given: AnyLoss, packing: Packing, seed: int):
        if not callable(given) and given not in NAMES:
            raise GradscopeError(
                f"loss should be a function of the state or one of {', '.join(NAMES)}, got "
                f"{given!r}"
            )
        self.given, self.packing = given, packing
        self.words = NAMES[given] if isinstance(given, str) else _name(given)
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(packing.size, dtype=torch.float64, generator=generator)
        self._direction = (drawn / drawn.norm()).to(packing.device, packing.dtype)

    def __call__(self, s: Float[Tensor, "batch size"]) -> Float[Tensor, " batch"]:
        """The loss of each start.

        Raises:
            GradscopeError: for a loss of another shape.
        """
        if self.given == "projection":
            return s @ self._direction
        if self.given == "mean_square":
            return s.square().mean(-1)
        assert not isinstance(self.given, str)
        loss = self.given(self.packing.unpack(s))
        batch, batched = self.packing.batch, self.packing.batched
        wanted = (batch,) if batched else ()
        if not isinstance(loss, Tensor) or loss.shape != wanted:
            got = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            raise GradscopeError(
                f"the loss should be one number for each start, {wanted}, got {got}"
                + ("; sum or average over all axes but the first" if batched else "")
            )
        return loss.reshape(batch)

    def gradient(self, s: Float[Tensor, "batch size"], t: int) -> LossGradient:
        """The loss at t and its gradient by s_t.

        Raises:
            GradscopeError: for a loss that is not differentiable or not finite.
        """
        s = s.detach().requires_grad_()
        with torch.enable_grad():
            loss = self(s)
        if not loss.requires_grad:
            raise GradscopeError(
                "the loss is not differentiable: it does not depend on the state by operations "
                "that autograd knows (look for detach(), .item(), numpy, argmax or comparisons)"
            )
        (gradient,) = torch.autograd.grad(loss.sum(), s, materialize_grads=True)
        if not bool(loss.isfinite().all()) or not bool(gradient.isfinite().all()):
            raise GradscopeError(
                f"the loss of the state at t = {t}, or its gradient, is not finite"
            )
        return LossGradient(loss.detach().double(), gradient)


def _name(function: Callable[..., object]) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    return "your loss" if name == "<lambda>" else name
