"""A larger batch."""

from __future__ import annotations

from gradscope.remedies._remedy import Remedy, register


@register("larger_batch")
class LargerBatch(Remedy):
    """Average over more sequences."""
