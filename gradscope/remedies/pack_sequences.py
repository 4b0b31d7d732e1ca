"""Sequences of their own lengths."""

from __future__ import annotations

from gradscope.remedies._remedy import Remedy, register


@register("pack_sequences")
class PackSequences(Remedy):
    """Pack the sequences (pack_padded_sequence), or read each one at its last real step."""
