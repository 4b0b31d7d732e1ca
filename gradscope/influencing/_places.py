"""Which outputs are asked, and how far back each input lies from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Int
from numpy.typing import NDArray
from torch import Tensor

from gradscope.errors import GradscopeError

#: how many outputs, which ones by their place in the sequence, or all of them
Positions = int | Sequence[int] | Literal["all"]

#: outputs that are asked unless said otherwise
_USUAL = 12
#: the part of a sequence that they are spread over, of a model that sees the past alone, and of one
#: that sees the future as well
_LAST, _MIDDLE = (0.75, 1.0), (0.25, 0.75)


@dataclass(frozen=True)
class Places:
    """Which outputs are asked, and where each input lies seen from them.

    Attributes:
        real: positions that are no padding.
        outputs: the position of each output asked for in each example; -1 where it has none.
        future: whether inputs after an output count.
        batch_first: whether the input's first axis is the batch.
    """

    real: Bool[Tensor, "batch time"]
    outputs: Int[Tensor, "position batch"]
    future: bool
    batch_first: bool

    @property
    def order(self) -> Int[Tensor, "batch time"]:
        """How many real positions lie before each one."""
        return self.real.long().cumsum(1) - 1

    def lags(self) -> NDArray[np.int64]:
        """All lags that there are, ascending."""
        seen = []
        for outputs in self.outputs:
            lag = self.lag_of_inputs(outputs)
            seen.append(lag[self.counts(lag, outputs)])
        ends = torch.cat(seen).aminmax()
        return np.arange(int(ends.min), int(ends.max) + 1)

    def lag_of_inputs(self, outputs: Int[Tensor, " batch"]) -> Int[Tensor, "batch time"]:
        """s - t in real positions, of one output of each example."""
        at = self.order.gather(1, outputs.clamp(min=0)[:, None])
        return at - self.order

    def counts(
        self, lag: Int[Tensor, "batch time"], outputs: Int[Tensor, " batch"]
    ) -> Bool[Tensor, "batch time"]:
        """Which inputs count for one output of each example."""
        there = self.real & (outputs >= 0)[:, None]
        return there if self.future else there & (lag >= 0)


def outputs_asked(
    scored: Bool[Tensor, "batch time"], positions: Positions | None, future: bool
) -> Int[Tensor, "position batch"]:
    """The outputs that are asked, by their place in each example; -1 where it has none.

    A number of them is spread evenly over the last quarter of each sequence, so that lags up to
    three quarters of it are seen by all; over the middle half where inputs after an output count.

    Args:
        scored: outputs that may be asked.
        positions: how many, which ones (from the end where negative), or all; None is 12.
        future: whether inputs after an output count.

    Raises:
        GradscopeError: if an example has no output, or none has one at a place asked for.
    """
    counts = scored.sum(1)
    if not bool((counts > 0).all()):
        raise GradscopeError(
            f"example {int(counts.argmin())} has no output that may be asked: all of it is padding"
        )
    if isinstance(positions, str) and positions != "all":
        raise GradscopeError(f"positions={positions!r}: should be a number, places, or 'all'")
    if isinstance(positions, str):
        wanted = torch.arange(int(counts.max()), device=scored.device)[:, None]
        return _placed(scored, wanted.expand(-1, len(scored)))
    if isinstance(positions, int) or positions is None:
        return _placed(scored, _spread(counts, _USUAL if positions is None else positions, future))
    wanted = torch.tensor(list(positions), device=scored.device, dtype=torch.long)[:, None]
    chosen = torch.where(wanted < 0, counts + wanted, wanted)
    if not len(positions) or not bool(((chosen >= 0) & (chosen < counts)).any(1).all()):
        raise GradscopeError(
            f"positions={list(positions)}: should be places in a sequence of {int(counts.max())} "
            "outputs, such as [-1] for the last"
        )
    return _placed(scored, chosen)


def _spread(
    counts: Int[Tensor, " batch"], number: int, future: bool
) -> Int[Tensor, "position batch"]:
    """So many places, evenly over a part of each example."""
    if number < 1:
        raise GradscopeError(f"positions={number}: should be at least 1")
    low, high = _MIDDLE if future else _LAST
    final = (high * (counts - 1)).floor()
    first = torch.minimum((low * (counts - 1)).ceil(), final)
    number = min(number, int((final - first).max()) + 1)
    share = torch.linspace(1, 0, number, dtype=torch.float64, device=counts.device)[:, None]
    return (first + share * (final - first)).round().long().flip(0)  # of one, the last


def _placed(
    scored: Bool[Tensor, "batch time"], wanted: Int[Tensor, "position batch"]
) -> Int[Tensor, "position batch"]:
    """Where in an example its output of a number is."""
    order = torch.where(scored, scored.long().cumsum(1) - 1, -1)
    found = order[None] == wanted[:, :, None]
    return torch.where(found.any(2), found.int().argmax(2), -1)
