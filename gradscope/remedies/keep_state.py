"""A step that keeps the state."""

from __future__ import annotations

from gradscope.remedies._remedy import Remedy, register


@register("keep_state")
class KeepState(Remedy):
    """Let more of the state through a step: s + f(x, s), or a gate that starts near 1."""

    of = ("StepCell",)
