"""Orthonormal columns carried along a trajectory, and how much they grow on the way.

A few steps are multiplied together before the columns are made orthonormal again, as many as leave
the columns apart in floating point. Their common size is kept as a log scale, so that no size of
the Jacobians is too small or too large; only a difference in size between columns costs digits.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gradscope.dynamics.carriers import Carrier
from gradscope.dynamics.orthonormal import orthonormalised
from gradscope.dynamics.support import Support

#: the most steps that are multiplied together
_LONGEST = 100


class Frame:
    """Columns Q of each sequence, that J_t Q carries on.

    Args:
        columns: orthonormal columns to begin with, ``(batch, state, k)``.
        interval: steps that are multiplied together at most; None means as many as are safe.
        longest: of these, the most; what a step needs is held so long.

    Attributes:
        columns: at the last step at which they were made orthonormal.
        known: whether the growth of each column has always stood above rounding, ``(batch, k)``.
        support: of the steps so far.
        longest: the most steps that were multiplied together.
    """

    def __init__(
        self,
        columns: Float[Tensor, "batch state k"],
        interval: int | None = None,
        longest: int = _LONGEST,
    ):
        batch, size, count = columns.shape
        self.columns, self.interval, self._most = columns, interval, min(longest, _LONGEST)
        self.known = torch.ones(batch, count, dtype=torch.bool, device=columns.device)
        self.support = Support(batch, size, columns.device)
        self.longest = 0
        self._foreseen = 1
        self._taken: list[Carrier] = []
        self._product, self._scale = self._begin()

    def _begin(self) -> tuple[Tensor, Tensor]:
        zero = torch.zeros(len(self.columns), dtype=torch.float64, device=self.columns.device)
        return self.columns, zero

    def follow(self, step: Carrier) -> bool:
        """Take one step; whether the columns should be made orthonormal again now."""
        self._taken.append(step)
        self._product, scale = step.carry(self._product)
        self._scale = self._scale + scale
        step.mark(self.support, self._product)
        return len(self._taken) >= (self.interval or self._foreseen)

    def growth(self) -> Float[Tensor, "batch k"]:
        """Make the columns orthonormal again: by how much each has grown, nats.

        Columns that ran apart too far are taken again, one step at a time.
        """
        last = self._taken[-1]
        decomposed = orthonormalised(self._product, last.dtype)
        grown = decomposed.log_diagonal + self._scale[:, None]
        if len(self._taken) > 1 and self._spread(grown) > last.spread:
            grown = self._one_by_one()
            steps = 1
        else:
            self.columns, steps = decomposed.q, len(self._taken)
            if steps == 1:  # within a safe spread nothing is below rounding
                self.known &= decomposed.known
        self.longest = max(self.longest, steps)
        rate = self._spread(grown) / len(self._taken)
        self._foreseen = max(1, min(self._most, int(last.spread / 2 / max(rate, 1e-6))))
        self._taken = []
        self._product, self._scale = self._begin()
        return grown

    def _one_by_one(self) -> Tensor:
        total = torch.zeros_like(self.columns[..., 0, :])
        for step in self._taken:
            product, scale = step.carry(self.columns)
            decomposed = orthonormalised(product, step.dtype)
            self.columns = decomposed.q
            self.known &= decomposed.known
            total = total + decomposed.log_diagonal + scale[:, None]
        return total

    def alive(self) -> Bool[Tensor, "batch k"]:
        """The columns that stand above rounding, and above an exact zero, so far."""
        index = torch.arange(self.known.shape[-1], device=self.known.device)
        return self.known.cummin(-1).values & (index < self.support.bound[:, None])

    def _spread(self, grown: Tensor) -> float:
        """ln of the longest over the shortest column that is alive, in the worst sequence."""
        alive = self.alive()
        high = torch.where(alive, grown, -torch.inf).amax(-1)
        low = torch.where(alive, grown, torch.inf).amin(-1)
        return float(torch.where(alive.any(-1), high - low, 0).max())
