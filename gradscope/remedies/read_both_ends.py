"""Each direction read at its end."""

from __future__ import annotations

from gradscope.remedies._remedy import Remedy, register


@register("read_both_ends")
class ReadBothEnds(Remedy):
    """Read the reverse direction at out[0] (or h_n), the forward one at out[-1]."""
