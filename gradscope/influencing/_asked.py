"""What is asked of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from gradscope.errors import GradscopeError
from gradscope.influencing._losses import Loss
from gradscope.influencing._places import Positions

#: random cotangents of each output unless said otherwise; an output of so few numbers is exact
_COTANGENTS = 2

Cotangents = int | Literal["exact"] | None


@dataclass(frozen=True, eq=False)
class Asked:
    """What is asked of a model that has run.

    Attributes:
        loss: of each output, in its place; None is the output.
        mask: True where there is no padding, along the input's first two axes.
        batch_first: whether the first of them is the batch; None finds it.
        positions: outputs that are asked.
        cotangents: of each; None is 2.
        seed: of the random ones.
    """

    loss: Loss | None = None
    mask: Tensor | None = None
    batch_first: bool | None = None
    positions: Positions | None = None
    cotangents: Cotangents = None
    seed: int = 0

    def __post_init__(self) -> None:
        count = self.cotangents
        if count is not None and count != "exact" and not (isinstance(count, int) and count > 0):
            raise GradscopeError(
                f"cotangents={count!r}: should be a number of at least 1, or 'exact'"
            )

    def number(self, size: int) -> int | None:
        """How many random cotangents of outputs of a size; None is every unit vector."""
        count = _COTANGENTS if self.cotangents is None else self.cotangents
        return None if count == "exact" or size <= count else count
