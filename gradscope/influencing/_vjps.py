"""Norms of J_{s,t}^T v by lag, for outputs s, cotangents v and every example at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from gradscope.dynamics.scaled import vector_norms
from gradscope.errors import GradscopeError
from gradscope.influencing._leaf import Leaf
from gradscope.influencing._places import Places

#: the norm from which on a gradient has lost no digits on its way, and the power of two by which a
#: cotangent is enlarged to see what is below it, by dtype
_RANGE: dict[torch.dtype, tuple[float, int]] = {
    torch.float64: (1e-270, 800),
    torch.float32: (1e-25, 80),
    torch.bfloat16: (1e-25, 80),
    torch.float16: (1e-2, 8),
}
_LN2 = math.log(2)


@dataclass
class Norms:
    """ln of norms, and whether all could be seen.

    Attributes:
        lags: ascending, steps.
        log_norms: nats; NaN where an example has no such lag, or it was too small to be seen.
        too_small: whether some were.
    """

    lags: NDArray[np.int64]
    log_norms: Float[np.ndarray, "position cotangent batch lag"]
    too_small: bool = False


def log_norms(
    output: Float[Tensor, "batch time output"],
    leaf: Leaf,
    places: Places,
    count: int | None,
    seed: int,
) -> Norms:
    """ln ||J_{s,t}^T v|| for each output asked for, cotangent, example and lag.

    Args:
        output: what is asked.
        leaf: the input.
        places: which outputs, and which inputs count.
        count: of random cotangents; None takes every unit vector, which is exact.
        seed: of the cotangents.

    Raises:
        GradscopeError: if a gradient is not finite.
    """
    lags = places.lags()
    examples, size = output.shape[0], output.shape[-1]
    shape = len(places.outputs), size if count is None else count, examples, len(lags)
    norms = Norms(lags, np.full(shape, np.nan))
    generator = torch.Generator().manual_seed(seed)
    index = torch.arange(examples, device=output.device)
    for position, outputs in enumerate(places.outputs):
        asked, lag = output[index, outputs.clamp(min=0)], places.lag_of_inputs(outputs)
        counts = places.counts(lag, outputs)
        example, _ = (part.cpu().numpy() for part in counts.nonzero(as_tuple=True))
        for number in range(shape[1]):
            v = _cotangent(number, examples, size, count, generator)
            v = v.to(asked) * (outputs >= 0)[:, None]
            logs = _seen(asked, v, leaf, places, counts, lag)[counts].cpu().numpy()
            norms.log_norms[position, number, example, lag[counts].cpu().numpy() - lags[0]] = logs
            norms.too_small |= bool(np.isnan(logs).any())
    return norms


def _cotangent(
    number: int, examples: int, size: int, count: int | None, generator: torch.Generator
) -> Float[Tensor, "batch output"]:
    """Signs at random; or the unit vector of a number, whose squares have the same mean."""
    if count is not None:
        return torch.randint(0, 2, (examples, size), generator=generator).mul(2).sub(1).float()
    unit = torch.zeros(examples, size, dtype=torch.float64)
    unit[:, number] = size**0.5
    return unit


def _seen(
    asked: Float[Tensor, "batch output"],
    v: Float[Tensor, "batch output"],
    leaf: Leaf,
    places: Places,
    counts: Bool[Tensor, "batch time"],
    lag: Int[Tensor, "batch time"],
) -> Float[Tensor, "batch time"]:
    """ln of the norms, also of those that are out of the range of their dtype at first.

    Backpropagation is linear: with a cotangent enlarged by 2^80 what was lost at long lags is seen,
    and the short lags that overflow then are known already.
    """
    least, power = _RANGE[asked.dtype]
    norms = _norms(asked, v, leaf, places)
    if bool((norms.isnan() & counts).all(1).any()):
        raise GradscopeError("the gradient is NaN: the model's output, or its derivative, is")
    logs = norms.log()
    low, high = counts & (norms < least), counts & ~norms.isfinite()
    if bool(low.any()):
        again = _norms(asked, v * 2.0**power, leaf, places)
        value = torch.where(_lost(again, least, counts, lag), torch.nan, again.log())
        logs = torch.where(low, value - power * _LN2, logs)
    if bool(high.any()):
        again = _norms(asked, v * 2.0**-power, leaf, places)
        if not bool(again[high].isfinite().all()):
            raise GradscopeError("the gradient is larger than its dtype holds: give float64")
        logs = torch.where(high, again.log() + power * _LN2, logs)
    return logs


def _lost(
    again: Float[Tensor, "batch time"],
    least: float,
    counts: Bool[Tensor, "batch time"],
    lag: Int[Tensor, "batch time"],
) -> Bool[Tensor, "batch time"]:
    """Which norms are too small to be seen by an enlarged cotangent.

    Zeros are exact unless they lie beyond one that is nearly lost.
    """
    sinking = counts & (again > 0) & (again < least)
    beyond = torch.where(sinking, lag.abs(), lag.shape[1]).amin(1, keepdim=True)
    return sinking | ~again.isfinite() | ((again == 0) & (lag.abs() >= beyond))


def _norms(
    asked: Float[Tensor, "batch output"],
    v: Float[Tensor, "batch output"],
    leaf: Leaf,
    places: Places,
) -> Float[Tensor, "batch time"]:
    """||J_{s,t}^T v|| in float64."""
    assert leaf.value is not None
    (gradient,) = torch.autograd.grad(asked, leaf.value, v, retain_graph=True, allow_unused=True)
    if gradient is None:
        gradient = torch.zeros_like(leaf.value)
    by_position = leaf.by_position(gradient)
    if not places.batch_first:
        by_position = by_position.transpose(0, 1)
    half = by_position.dtype in (torch.float16, torch.bfloat16)
    return vector_norms(by_position.float() if half else by_position)
