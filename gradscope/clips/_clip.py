"""Clip: a rule that bounds the parameters' gradient before an optimiser step."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.components.base import Component
from gradscope.components.kind import Kind
from gradscope.dynamics.trace import Trace


def gradient_norm(gradients: Sequence[Tensor]) -> Float[Tensor, ""]:
    """The 2-norm over all gradients together.

    In float64, so that squares of float32 numbers cannot overflow.
    """
    return torch.linalg.vector_norm(
        torch.cat([g.flatten() for g in gradients]), dtype=torch.float64
    )


#: what a clip does to the gradients of one update, given their norm; it returns the coefficient
Rule = Callable[[Sequence[Tensor], Tensor], Tensor]


class Clip(Component):
    """Base of all clips."""

    component_kind: ClassVar[str] = "clip"

    #: whether ``clip_adjoint`` is to be applied to every dL/ds_t on its way back through time
    inside: ClassVar[bool] = False
    #: whether ``term`` adds something to the loss
    regularises: ClassVar[bool] = False

    def begin(self, parameters: Mapping[str, Tensor]) -> Rule:
        """The rule of one training.

        This object itself, unless it looks at the parameters or remembers earlier updates.

        Args:
            parameters: by name, in the order in which their gradients will come.
        """
        return self

    def clip_adjoint(self, adjoint: Float[Tensor, "batch state"]) -> Float[Tensor, "batch state"]:
        """dL/ds_t as it goes on to earlier steps."""
        return adjoint

    def term(self, trace: Trace) -> Float[Tensor, ""] | None:
        """A differentiable term that joins the loss, made of one unroll, of a regulariser."""
        return None

    @abstractmethod
    def __call__(self, gradients: Sequence[Tensor], norm: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """Change the gradients in place.

        Args:
            gradients: one tensor for each parameter.
            norm: their ``gradient_norm`` as they come in.

        Returns:
            The norm after over the norm before, which is the factor applied where all gradients are
            scaled by one; exactly 1 where nothing was clipped.
        """


def ratio(gradients: Sequence[Tensor], norm: Float[Tensor, ""], clipped: bool) -> Float[Tensor, ""]:
    """The coefficient of a rule that does not scale all gradients by one factor."""
    return gradient_norm(gradients) / norm if clipped else torch.ones_like(norm)


#: every clip
CLIPS: Kind[Clip, Clip] = Kind("clip")
register = CLIPS.register
