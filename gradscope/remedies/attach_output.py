"""An output that the loss sees."""

from __future__ import annotations

from gradscope.remedies._remedy import Remedy, register


@register("attach_output")
class AttachOutput(Remedy):
    """Let the loss see the output itself: look for detach(), .data, torch.no_grad() or an unused
    output.
    """
