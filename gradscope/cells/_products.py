"""Matrix products of a step, of one trial or of many at once.

Weights ``(rows, columns)`` belong to one trial, and states are ``(batch, columns)``; with a
``trial`` axis in front of both, each trial meets its own weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def add_product(
    total: Float[Tensor, "*trial batch columns"],
    left: Float[Tensor, "*trial batch rows"],
    weight: Float[Tensor, "*trial rows columns"],
) -> None:
    """total <- total + left W, in place."""
    if weight.dim() == 2:
        total.addmm_(left, weight)
    elif total.is_contiguous():
        total.baddbmm_(left, weight)
    else:  # torch would make the products one by one
        total.add_(left @ weight)


def product(
    left: Float[Tensor, "*trial batch rows"],
    weight: Float[Tensor, "*trial rows columns"],
    bias: Float[Tensor, "*trial columns"] | None,
    out: Float[Tensor, "*trial batch columns"],
) -> None:
    """out <- left W + b."""
    if bias is None:
        torch.matmul(left, weight, out=out)
    elif weight.dim() == 2:
        torch.addmm(bias, left, weight, out=out)
    else:
        torch.baddbmm(bias.unsqueeze(-2), left, weight, out=out)


def add_outer(
    total: Float[Tensor, "*trial rows columns"],
    left: Float[Tensor, "time *trial batch rows"],
    right: Float[Tensor, "time *trial batch columns"],
) -> None:
    """total <- total + left^T right, summed over steps and batch, in place."""
    if total.dim() == 2:
        total.addmm_(left.flatten(0, 1).mT, right.flatten(0, 1))
    else:
        total.baddbmm_(_by_trial(left).mT, _by_trial(right))


def by_weight(
    x: Float[Tensor, "*any trial batch columns"],
    weight: Float[Tensor, "trial columns rows"],
    bias: Float[Tensor, "trial rows"] | None = None,
) -> Float[Tensor, "*any trial batch rows"]:
    """x W + b for weights with a trial axis, by one product for each trial over all steps at once.

    ``x @ W`` would copy the weights for every step.
    """
    several = x.dim() == 4
    rows = _by_trial(x) if several else x
    products = rows @ weight if bias is None else torch.baddbmm(bias.unsqueeze(-2), rows, weight)
    return products.unflatten(1, (len(x), -1)).movedim(0, 1) if several else products


def driven(
    inputs: Float[Tensor, "time trial batch input"],
    weight: Float[Tensor, "trial input gates"],
    bias: Float[Tensor, "trial gates"] | None,
) -> tuple[Float[Tensor, "time trial batch gates"], Iterator[Float[Tensor, "trial batch gates"]]]:
    """Room for x_t W + b at all steps, and these step by step, each made when it is asked for.

    So a step's numbers are still in a processor's cache when the product with the state is added.
    """
    whole = inputs.new_empty(*inputs.shape[:-1], weight.shape[-1])

    def steps() -> Iterator[Tensor]:
        for x, out in zip(inputs.unbind(0), whole.unbind(0), strict=True):
            product(x, weight, bias, out)
            yield out

    return whole, steps()


def room(
    like: Tensor, time: int, batch: Sequence[int], size: int
) -> Float[Tensor, "time *batch size"]:
    """An empty tensor; with a trial axis, the steps of each trial lie side by side in memory.

    So the products over all steps of a trial copy nothing.
    """
    if len(batch) < 2:
        return like.new_empty(time, *batch, size)
    trials, *rest = batch
    return like.new_empty(trials, time, *rest, size).movedim(0, 1)


def _by_trial(x: Float[Tensor, "time trial batch size"]) -> Float[Tensor, "trial rows size"]:
    """The rows of all steps and sequences of each trial."""
    return x.movedim(0, 1).flatten(1, 2)
