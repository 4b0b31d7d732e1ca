"""The rank that a product of Jacobians loses exactly: to dead units, delay lines and the like.

A coordinate of s_t carries something of s_0 on to s_T only if it is reached from s_0 through
nonzero entries, and itself reaches s_T. The rank of J_{T:0} is at most the number of such
coordinates, at every t.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gradscope.dynamics.trajectory import Trajectory, step_by_step


class Support:
    """Follows which coordinates are reached along a trajectory, to bound the rank of its product.

    Nothing is followed until a row or a column of a Jacobian is all zero: before that all
    coordinates are reached, and reach the end.

    Args:
        batch: number of sequences.
        size: length of the state.
        device: of the Jacobians.
    """

    def __init__(self, batch: int, size: int, device: torch.device):
        self.reached = torch.ones(batch, size, dtype=torch.bool, device=device)
        self.bound = torch.full((batch,), size, device=device)
        self.steps: list[Bool[Tensor, "batch state"]] = [self.reached]
        self.dense = True

    def follow(self, jacobian: Tensor) -> None:
        """Take one step further; ``bound`` is then one for the product so far."""
        if self.dense and int(torch.count_nonzero(jacobian)) == jacobian.numel():
            self.steps.append(self.reached)
            return
        nonzero = jacobian != 0
        if self.dense and bool(nonzero.any(-1).all()) and bool(nonzero.any(-2).all()):
            self.steps.append(self.reached)
            return
        self.dense = False
        used = nonzero.any(-2) & self.reached
        self.reached = (nonzero & self.reached.unsqueeze(-2)).any(-1)
        self.bound = torch.minimum(self.bound, torch.minimum(used.sum(-1), self.reached.sum(-1)))
        self.steps.append(self.reached)

    def reach(self, carried: Float[Tensor, "batch state k"]) -> None:
        """Take one step further, of which all that is known are the columns that it has carried.

        A coordinate that is zero in all of them is not reached. Columns beyond the bound are not
        made of what was reached, but fill up a basis.
        """
        made = torch.arange(carried.shape[-1], device=carried.device) < self.bound[:, None]
        reached = ((carried != 0) & made[:, None]).any(-1)
        self.bound = torch.minimum(self.bound, reached.sum(-1))

    def rank(self, trajectory: Trajectory, *, forward: bool = True) -> Int[Tensor, " batch"]:
        """A bound of the rank of the whole product, once every step has been followed.

        Args:
            trajectory: what was followed.
            forward: whether it was followed from s_0 on, as tangents go, or from s_T back.
        """
        if self.dense:
            return self.bound
        bound, reaching = self.bound, torch.ones_like(self.reached)
        transposed = step_by_step(trajectory, forward=not forward)
        for reached, jacobian in zip(self.steps[-2::-1], transposed, strict=True):
            reaching = ((jacobian != 0) & reaching.unsqueeze(-2)).any(-1)
            bound = torch.minimum(bound, (reached & reaching).sum(-1))
        return bound
