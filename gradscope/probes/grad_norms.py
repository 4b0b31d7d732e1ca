"""Norms of the parameters' gradients."""

from __future__ import annotations

import torch

from gradscope.components.registry import register
from gradscope.dynamics.trace import Trace
from gradscope.probes._probe import Columns, Probe


@register("probe", "grad_norms")
class GradNorms(Probe):
    """||dL/dp|| for every parameter p of the model, before and after the clip.

    Columns: parameter, size (number of elements), grad_norm_preclip, grad_norm_postclip (2-norms;
    under TBPTT of the measured update).
    """

    def measure(self, trace: Trace) -> Columns:
        """One row for each parameter."""
        update = trace.update
        if update is None:
            return {}
        return {
            "parameter": list(update.before),
            "size": [g.numel() for g in update.before.values()],
            "grad_norm_preclip": [_norm(g) for g in update.before.values()],
            "grad_norm_postclip": [_norm(update.after[name]) for name in update.before],
        }


def _norm(gradient: torch.Tensor) -> float:
    return float(torch.linalg.vector_norm(gradient, dtype=torch.float64))
