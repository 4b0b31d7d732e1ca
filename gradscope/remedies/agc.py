"""A clip by the weights."""

from __future__ import annotations

from gradscope.remedies._remedy import Remedy, register


@register("agc")
class Agc(Remedy):
    """Clip each unit's gradient by its weights' norm (AGC)."""

    entrant = "tanh, AGC"
    against = "tanh, nothing"
