"""Central differences of the loss, against which the sign of the gradient is held.

    D_r = (l(x + r u) - l(x - r u)) / 2 r

is, exactly, the derivative along u of the loss averaged over a stretch of x from -r to r, whatever
r is. At a small r it is that of the loss itself; at a larger one, that of the landscape that an
optimiser sees whose steps are as long.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.steps import Steps
from gradscope.unrolls._losses import Loss
from gradscope.unrolls._sweep import Gradients

#: losses further apart than so many times their rounding differ
_ROUNDING = 32.0


class Compared(NamedTuple):
    """A gradient held against differences, at each horizon and start.

    Attributes:
        agreed: directions along which the sign agrees.
        known: directions along which there is one.
        error: the largest difference of the two slopes, over the gradient's norm.
    """

    agreed: Float[Tensor, "horizon batch"]
    known: Float[Tensor, "horizon batch"]
    error: Float[Tensor, "horizon batch"]


def directions(
    steps: Steps, parameters: Sequence[Tensor], count: int, seed: int
) -> Float[Tensor, "direction batch size"]:
    """Random unit vectors: one of its own for each start, or the same for all of parameters."""
    generator = torch.Generator().manual_seed(seed + 2)
    size = sum(parameter.numel() for parameter in parameters) or steps.packing.size
    shape = (count, 1 if parameters else steps.batch, size)
    drawn = torch.randn(shape, dtype=torch.float64, generator=generator).to(steps.start.device)
    return drawn / torch.linalg.vector_norm(drawn, dim=-1, keepdim=True)


def size_of(steps: Steps, parameters: Sequence[Tensor]) -> float:
    """The norm of what is moved: the root mean square over starts; 1 where that is 0."""
    if parameters:
        squares = torch.stack([p.detach().double().square().sum() for p in parameters]).sum()
    else:
        squares = steps.start.double().square().sum(-1).mean()
    return float(squares.sqrt()) or 1.0


def compared(
    steps: Steps,
    loss: Loss,
    horizons: Sequence[int],
    parameters: Sequence[Tensor],
    gradients: Gradients,
    along: Float[Tensor, "direction batch size"],
    radius: float,
) -> Compared:
    """The gradient held against central differences over this radius along each direction.

    Unknown is the sign of a difference within rounding, or one of a run that is not finite.
    """
    agreed = torch.zeros_like(gradients.losses)
    known, error = torch.zeros_like(agreed), torch.zeros_like(agreed)
    norms = gradients.log_norms()
    for direction in along:
        ends = [
            _losses(steps, loss, horizons, parameters, way * radius * direction)
            for way in (1.0, -1.0)
        ]
        difference = ends[0] - ends[1]
        told = difference.abs() > _ROUNDING * gradients.resolution
        told &= difference.isfinite()
        slope = (gradients.vectors * direction).sum(-1)
        agreed += told & (slope.sign() == difference.sign())
        known += told
        # both slopes over the gradient's norm, which a float may not hold
        ours = slope.sign() * (slope.abs().log() + gradients.log_scale - norms).exp()
        theirs = difference.sign() * ((difference / 2 / radius).abs().log() - norms).exp()
        off = torch.where(norms > -torch.inf, (ours - theirs).abs(), torch.inf)
        error = torch.where(told, torch.maximum(error, off), error)
    return Compared(agreed, known, torch.where(known > 0, error, torch.nan))


def _losses(
    steps: Steps,
    loss: Loss,
    horizons: Sequence[int],
    parameters: Sequence[Tensor],
    move: Float[Tensor, "batch size"],
) -> Float[Tensor, "horizon batch"]:
    """The loss at each horizon of a run that starts, or whose parameters are, moved."""
    wanted, found = set(horizons), []
    s = steps.start if parameters else steps.start + move.to(steps.start.dtype)
    with _moved(parameters, move[0]):
        for t in range(horizons[-1] + 1):
            if t > 0:
                s = steps.after(t, s)
            if t in wanted:
                found.append(loss(s).detach().double())
    return torch.stack(found)


@contextmanager
def _moved(parameters: Sequence[Tensor], move: Float[Tensor, " size"]) -> Iterator[None]:
    """The parameters moved, in place, and put back."""
    kept = [parameter.detach().clone() for parameter in parameters]
    try:
        start = 0
        with torch.no_grad():
            for parameter in parameters:
                part = move[start : start + parameter.numel()]
                parameter.add_(part.view_as(parameter).to(parameter))
                start += parameter.numel()
        yield
    finally:
        with torch.no_grad():
            for parameter, before in zip(parameters, kept, strict=True):
                parameter.copy_(before)
