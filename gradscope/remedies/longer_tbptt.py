"""A longer window."""

from __future__ import annotations

from gradscope.remedies._remedy import Remedy, register


@register("longer_tbptt")
class LongerTbptt(Remedy):
    """Let backpropagation run over a longer window."""

    entrant = "LSTM, forget bias 1"
    against = "LSTM, TBPTT 20"
