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
    """The 2-norm over all gradients together, in float64, where squares cannot overflow."""
    elements = torch.cat([gradient.flatten() for gradient in gradients])
    return torch.linalg.vector_norm(elements, dtype=torch.float64)


#: changes the gradients of one update in place, given their norm; returns the coefficient
Rule = Callable[[Sequence[Tensor], Tensor], Tensor]


class Clip(Component):
    """Base of all clips.

    >>> from gradscope.clips import CLIPS
    >>> gradients = [torch.tensor([3.0, 4.0])]
    >>> clip = CLIPS.make({"name": "global_norm", "max_norm": 1.0})
    >>> clip(gradients, gradient_norm(gradients))
    tensor(0.2000, dtype=torch.float64)
    >>> gradients
    [tensor([0.6000, 0.8000])]
    """

    component_kind: ClassVar[str] = "clip"

    #: whether ``clip_adjoint`` is applied to every dL/ds_t on its way back through time
    inside: ClassVar[bool] = False
    #: whether ``term`` adds a term to the loss
    regularises: ClassVar[bool] = False

    def begin(self, parameters: Mapping[str, Tensor]) -> Rule:
        """The rule for one training.

        It is this object itself, unless the rule needs the parameters or remembers earlier updates.

        Args:
            parameters: by name, in the order in which the rule will get their gradients.
        """
        return self

    def clip_adjoint(self, adjoint: Float[Tensor, "batch state"]) -> Float[Tensor, "batch state"]:
        """What dL/ds_t becomes before it goes on to earlier steps."""
        return adjoint

    def term(self, trace: Trace) -> Float[Tensor, ""] | None:
        """The term that a regulariser adds to the loss, differentiable; None for no term."""
        return None

    @abstractmethod
    def __call__(self, gradients: Sequence[Tensor], norm: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """Change the gradients in place.

        Args:
            gradients: one tensor for each parameter.
            norm: their ``gradient_norm`` before the change.

        Returns:
            The norm after the change over the norm before: the factor, if one factor scales all
            gradients; exactly 1 if nothing was clipped.
        """


def ratio(gradients: Sequence[Tensor], norm: Float[Tensor, ""], clipped: bool) -> Float[Tensor, ""]:
    """The coefficient of a rule that scales gradients by different factors."""
    return gradient_norm(gradients) / norm if clipped else torch.ones_like(norm)


#: every clip
CLIPS: Kind[Clip, Clip] = Kind("clip")
register = CLIPS.register
