"""Sequences of their own lengths."""

from __future__ import annotations

from gradscope.remedies._remedy import Remedy, register


@register("pack_sequences")
class PackSequences(Remedy):
    """Tell the module the lengths (pack_padded_sequence), or read the output at each one's last
    real step.
    """
