"""Norms of the parameters' gradients."""

from __future__ import annotations

import torch

from gradscope.dynamics import Trace
from gradscope.probes._probe import Probe, register
from gradscope.results.columns import Columns


@register("grad_norms")
class GradNorms(Probe):
    """||dL/dp|| for every parameter p of the model, before and after the clip.

    Columns: parameter, size (number of elements), grad_norm_preclip, grad_norm_postclip (2-norms;
    with TBPTT, of the gradient of the measured update).
    """

    cost = "steps"
    by_default = True
    order = 10

    def measure(self, trace: Trace) -> Columns:
        """One row for each parameter."""
        update = trace.update
        if update is None:
            return {}
        return {
            "parameter": list(update.before),
            "size": [gradient.numel() for gradient in update.before.values()],
            "grad_norm_preclip": [_norm(gradient) for gradient in update.before.values()],
            "grad_norm_postclip": [_norm(update.after[name]) for name in update.before],
        }


def _norm(gradient: torch.Tensor) -> float:
    return float(torch.linalg.vector_norm(gradient, dtype=torch.float64))
