"""A clip that follows the norms."""

from __future__ import annotations

from gradscope.remedies._remedy import Remedy, register


@register("autoclip")
class Autoclip(Remedy):
    """Clip at a percentile of the norms so far (AutoClip)."""

    entrant = "tanh, AutoClip"
    against = "tanh, nothing"
