"""Matrix products of a step, of one trial or of many at once.

Weights ``(rows, columns)`` belong to one trial, and states are ``(batch, columns)``; with a
``trial`` axis in front of both, each trial meets its own weights.
"""

from __future__ import annotations

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
    else:
        total.baddbmm_(left, weight)


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
    x: Float[Tensor, "*any trial batch columns"], weight: Float[Tensor, "trial columns rows"]
) -> Float[Tensor, "*any trial batch rows"]:
    """x W for weights with a trial axis, by one product for each trial over all steps at once.

    ``x @ W`` would copy the weights for every step.
    """
    if x.dim() != 4:
        return x @ weight
    steps, trials, batch, _ = x.shape
    products = torch.bmm(_by_trial(x), weight).view(trials, steps, batch, -1)
    return products.movedim(1, 0).contiguous()


def _by_trial(x: Float[Tensor, "time trial batch size"]) -> Float[Tensor, "trial rows size"]:
    """The rows of all steps and sequences of each trial."""
    return x.movedim(0, 1).flatten(1, 2)
