"""An output that the loss sees."""

from __future__ import annotations

from gradscope.remedies._remedy import Remedy, register


@register("attach_output")
class AttachOutput(Remedy):
    """Let the loss see the output: look for detach(), .data, no_grad() or an unused output."""
