"""What a model does between two blocks of a stack, such as adding a residual."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

from gradscope.capture._watch import Received

#: how far rounding, relative to the terms, may be from an elementwise map
_ROUNDING = 64


class Link(NamedTuple):
    """x_{l+1} = out y_l + skip x_l + offset, elementwise; y_l is what a block gave for x_l.

    Attributes:
        out: broadcasts to the activation, as do the others.
        skip: 0 where there is no residual.
        offset: what else was added.
    """

    out: Tensor
    skip: Tensor
    offset: Tensor

    def applied(self, given: Tensor, entering: Tensor) -> Tensor:
        """What enters the next block."""
        return self.out * given + self.skip * entering + self.offset


def link_of(
    following: Tensor,
    given: Tensor,
    given_edge: GradientEdge | None,
    entering: Tensor,
    entering_edge: GradientEdge | None,
) -> Link | None:
    """How what enters the next block was made of what a block gave, and of what entered that.

    Args:
        following: what enters the next block.
        given: what the block gave.
        given_edge: its place in autograd's graph.
        entering: what entered the block.
        entering_edge: its place, None where it has no gradient.

    Returns:
        None where the former was not made of the latter elementwise, and alike in every sample.
    """
    if given_edge is None or not following.requires_grad or following.shape != given.shape:
        return None
    seen, before = given.detach(), entering.detach()
    try:
        ways = _ways(following, given, given_edge, entering_edge)
    except RuntimeError:  # autograd cannot follow it
        return None
    if ways is None:
        return None
    out, skip = ways
    rest = following.detach() - out * seen
    if entering_edge is None:  # the first block's, which autograd cannot be asked about
        factor = float((rest * before).sum() / before.square().sum().clamp_min(1e-300))
        skip = torch.full_like(before, factor if _is(rest, factor * before) else 0.0)
    offset = rest - skip * before
    offset = torch.where(offset.abs() <= _allowed(following, before), 0.0, offset)
    parts = (out, _rounded(skip), offset)
    if any(not _is(part, part[:1].expand_as(part)) for part in parts):
        return None
    return Link(*(part[:1].clone() for part in parts))


def _ways(
    following: Tensor, given: Tensor, given_edge: GradientEdge, entering_edge: GradientEdge | None
) -> tuple[Tensor, Tensor] | None:
    """d following/d given, and beside it d following/d entering; None where not elementwise."""
    edges = [given_edge] if entering_edge is None else [given_edge, entering_edge]

    def pulled(vector: Tensor) -> tuple[Tensor, Tensor]:
        out, *rest = torch.autograd.grad(
            following, edges, vector, retain_graph=True, allow_unused=True
        )
        if out is None:
            return torch.zeros_like(given), torch.zeros_like(given)
        if not rest or rest[0] is None:
            return out, torch.zeros_like(given)
        (through,) = torch.autograd.grad(
            given, [edges[1]], out, retain_graph=True, materialize_grads=True
        )
        return out, rest[0] - through

    generator = torch.Generator().manual_seed(0)
    probe = torch.randn(given.shape, generator=generator, dtype=torch.float64).to(given)
    with Received.unheard(), torch.enable_grad():
        ways, probed = pulled(torch.ones_like(following)), pulled(probe)
    elementwise = all(_is(part, way * probe) for part, way in zip(probed, ways, strict=True))
    return ways if elementwise and bool(ways[0].any()) else None


def _is(found: Tensor, expected: Tensor) -> bool:
    size = found.abs().max() + expected.abs().max() + 1
    return bool(
        ((found - expected).abs() <= 1e2 * _ROUNDING * torch.finfo(found.dtype).eps * size).all()
    )


def _allowed(following: Tensor, before: Tensor) -> Tensor:
    size = following.detach().abs().max() + before.abs().max()
    return _ROUNDING * torch.finfo(before.dtype).eps * size


def _rounded(skip: Tensor) -> Tensor:
    """A difference of two gradients without its rounding, where it is 0 or 1."""
    for whole in (0.0, 1.0):
        if _is(skip, torch.full_like(skip, whole)):
            return torch.full_like(skip, whole)
    return skip
