"""A curve in a line of text: the losses of a trial while it runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

_BARS = "▁▂▃▄▅▆▇"
#: the least range from the lowest bar to the highest, so that mere noise looks flat
_RANGE = math.log(1.2)


class Losses:
    """Losses of a trial, few enough for a line, however many there were.

    They are kept as logarithms, in groups of as many updates each; where there are too many groups,
    two become one.

    Args:
        width: characters of the line.
    """

    def __init__(self, width: int):
        self.width = width
        self._means: list[float] = []
        self._each = 1
        self._sum, self._count = 0.0, 0

    def add(self, loss: float) -> None:
        """One more loss."""
        self._sum += _log(loss)
        self._count += 1
        if self._count < self._each:
            return
        self._means.append(self._sum / self._count)
        self._sum, self._count = 0.0, 0
        if len(self._means) == 2 * self.width:
            pairs = zip(self._means[::2], self._means[1::2], strict=True)
            self._means = [(first + second) / 2 for first, second in pairs]
            self._each *= 2

    def line(self) -> str:
        """The losses from the first to the latest, on a logarithmic scale."""
        return sparkline(_binned(self._means, self.width))


def sparkline(values: Sequence[float]) -> str:
    """Values as bars from the lowest to the highest of them.

    What is infinite or no number stands at the end where it belongs: NaN at the top.

    >>> sparkline([4.0, 3.0, 2.0, 1.0])
    '▇▅▃▁'
    """
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    span = max(high - low, _RANGE)
    low = (low + high - span) / 2
    return "".join(_BARS[_level(value, low, span)] for value in values)


def _level(value: float, low: float, span: float) -> int:
    if not math.isfinite(value):
        return 0 if value < 0 else len(_BARS) - 1
    return min(len(_BARS) - 1, max(0, int(len(_BARS) * (value - low) / span)))


def _binned(values: Sequence[float], width: int) -> list[float]:
    """At most so many means of neighbours, in order."""
    if len(values) <= width:
        return list(values)
    edges = [index * len(values) // width for index in range(width + 1)]
    return [sum(values[first:last]) / (last - first) for first, last in pairwise(edges)]


def _log(loss: float) -> float:
    if not math.isfinite(loss):
        return math.inf
    return math.log(loss) if loss > 0 else -math.inf
