"""The right axis for time."""

from __future__ import annotations

from gradscope.remedies._remedy import Remedy, register


@register("batch_first")
class BatchFirst(Remedy):
    """Check batch_first: torch's default is (time, batch, input), and out[-1] is the last step."""
