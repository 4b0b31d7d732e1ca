"""A state that is handed on whole."""

from __future__ import annotations

from gradscope.remedies._remedy import Remedy, register


@register("attach_state")
class AttachState(Remedy):
    """Hand on the state itself, not state.detach()."""
