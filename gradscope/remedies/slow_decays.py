"""Heads that start by remembering."""

from __future__ import annotations

import math

import torch
from torch import nn

from gradscope.remedies._plan import Plan
from gradscope.remedies._remedy import Remedy, register

#: the steps dt with which Mamba-2 and Gated DeltaNet start as published
_LEAST, _GREATEST = 1e-3, 1e-1


@register("slow_decays")
class SlowDecays(Remedy):
    """Start the decays slow: steps dt = softplus(dt_bias) between 0.001 and 0.1, evenly in ln.

    Reference: Gu and Dao (2023), Mamba; Dao and Gu (2024), Transformers are SSMs.
    """

    @torch.no_grad()
    def apply(self, plan: Plan) -> bool:
        """Set every ``dt_bias`` of the attached modules."""
        changed = False
        for module in plan.model.modules():
            bias = getattr(module, "dt_bias", None)
            if isinstance(bias, nn.Parameter):
                steps = torch.linspace(math.log(_LEAST), math.log(_GREATEST), bias.numel()).exp()
                bias.copy_(steps.expm1().log().reshape(bias.shape).to(bias))
                changed = True
        return changed
