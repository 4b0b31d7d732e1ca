"""Inputs of order 1."""

from __future__ import annotations

from torch import Tensor, nn

from gradscope.remedies._changes import recurrent_modules
from gradscope.remedies._plan import Plan
from gradscope.remedies._remedy import Remedy, register


@register("scale_inputs")
class ScaleInputs(Remedy):
    """Bring the inputs to root mean square 1."""

    def apply(self, plan: Plan) -> bool:
        """Divide what every attached module reads by its root mean square, call by call."""
        modules = recurrent_modules(plan)
        for module in modules:
            module.register_forward_pre_hook(_scaled)
        return bool(modules)


def _scaled(module: nn.Module, args: tuple[object, ...]) -> tuple[object, ...]:
    x = args[0]
    if not isinstance(x, Tensor):
        return args
    return (x / x.detach().square().mean().sqrt().clamp_min(1e-12), *args[1:])
