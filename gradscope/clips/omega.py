"""Pascanu's regulariser, which asks the adjoint to keep its norm from step to step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from gradscope.clips._clip import Clip, register
from gradscope.dynamics import adjoints
from gradscope.dynamics.trace import Trace


@register("omega")
class Omega(Clip):
    """Adds weight * Omega, the mean over t of (||J_{t+1}^T a_{t+1}|| / ||a_{t+1}|| - 1)^2.

    a_t = dL/ds_t. After that the global norm is clipped. As in the paper, the derivative of Omega
    is the immediate one: only the parameters in J vary, states and adjoints are held fixed.
    ``squared`` takes squared norms in the ratio, as the authors' code does; the paper has norms.
    Steps whose adjoint is zero do not count.

    Reference: Pascanu, Mikolov and Bengio (2013), On the difficulty of training recurrent neural
    networks, section 3.3; there the weight is 4 for temporal order, with a sum over steps.
    """

    weight: float = Field(
        1.0,
        ge=0,
        description=(
            "factor of Omega in the loss; 0 leaves the clip alone, 4 is the paper's "
            "for temporal order (there a sum over steps)"
        ),
    )
    max_norm: float | None = Field(
        1.0,
        gt=0,
        description=(
            "largest 2-norm of the whole gradient that passes unchanged, once Omega's "
            "is added; null: no clip"
        ),
    )
    squared: bool = Field(
        False,
        description=(
            "whether Omega has squared norms in its ratio, as the authors' code does; "
            "false: norms, as the paper prints"
        ),
    )

    regularises = True

    def term(self, trace: Trace) -> Float[Tensor, ""] | None:
        """weight * Omega; None where every adjoint is zero."""
        a = adjoints(trace).mantissa[1:].to(trace.states.dtype)
        before = trace.states.detach()[:-1].requires_grad_()
        with torch.enable_grad():
            after = trace.cell(trace.inputs.detach(), before)
            (carried,) = torch.autograd.grad(after, before, a, create_graph=True)
            after_step, before_step = carried.square().sum(-1), a.square().sum(-1)
            nonzero = before_step > 0
            ratios = after_step[nonzero] / before_step[nonzero]
            ratios = ratios if self.squared else (ratios + torch.finfo(ratios.dtype).tiny).sqrt()
            return self.weight * (ratios - 1).square().mean() if bool(nonzero.any()) else None

    def __call__(self, gradients: Sequence[Tensor], norm: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """min(1, max_norm / ||g||)."""
        if self.max_norm is None:
            return torch.ones_like(norm)
        coefficient = (self.max_norm / norm).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(coefficient.to(gradient.dtype))
        return coefficient
