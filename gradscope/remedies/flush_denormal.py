"""No subnormal numbers."""

from __future__ import annotations

from gradscope.remedies._remedy import Remedy, register


@register("flush_denormal")
class FlushDenormal(Remedy):
    """Call torch.set_flush_denormal(True), so that subnormal numbers cost no time."""
