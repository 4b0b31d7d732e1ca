"""A smaller start."""

from __future__ import annotations

import math

import torch

from gradscope.remedies._changes import recurrent_modules
from gradscope.remedies._plan import Plan
from gradscope.remedies._remedy import Remedy, register


@register("smaller_start")
class SmallerStart(Remedy):
    """Draw the weights anew within 1 / sqrt(hidden_size), torch's default."""

    def apply(self, plan: Plan) -> bool:
        """Draw all parameters of torch's recurrent modules."""
        modules = recurrent_modules(plan)
        for module in modules:
            bound = 1 / math.sqrt(module.hidden_size)
            for name, parameter in module.named_parameters():
                generator = torch.Generator().manual_seed(len(name))
                drawn = torch.empty(parameter.shape, dtype=parameter.dtype)
                parameter.data.copy_(drawn.uniform_(-bound, bound, generator=generator))
        return bool(modules)
