"""Clipping the embedding, each layer and the readout by norms of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from gradscope.clips._clip import Clip, Rule, gradient_norm, ratio, register


@register("per_block_norm")
class PerBlockNorm(Clip):
    """g_b <- g_b min(1, max_norm / ||g_b||) for each block b of the model alone: the embedding,
    every layer, the readout.

    Between ``global_norm`` (one block) and ``per_parameter_norm`` (every array a block): a layer
    that explodes does not take the others' steps from them.

    Reference: Yu, Lin, Salakhutdinov and Carbonell (2017), Block-normalized gradient method: an
    empirical study, whose blocks are layers and who rescale them always.
    """

    max_norm: float = Field(1.0, gt=0, description="largest norm of a block that passes unchanged")

    def begin(self, parameters: Mapping[str, Tensor]) -> Rule:
        """Sort the parameters into blocks."""
        blocks = [_block(name) for name in parameters]

        def rule(gradients: Sequence[Tensor], norm: Tensor) -> Tensor:
            return self._clip(
                [
                    [g for g, own in zip(gradients, blocks, strict=True) if own == b]
                    for b in dict.fromkeys(blocks)
                ],
                norm,
            )

        return rule

    def __call__(self, gradients: Sequence[Tensor], norm: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """||clipped g|| / ||g||, all gradients being one block."""
        return self._clip([gradients], norm)

    def _clip(self, blocks: Sequence[Sequence[Tensor]], norm: Tensor) -> Tensor:
        clipped = False
        for block in blocks:
            own = gradient_norm(block)
            if bool(own > self.max_norm):
                clipped = True
                for gradient in block:
                    gradient.mul_((self.max_norm / own).to(gradient.dtype))
        return (
            ratio([g for block in blocks for g in block], norm, clipped)
            if clipped
            else torch.ones_like(norm)
        )


def _block(name: str) -> str:
    """``stack.cells.0.weight_hh`` -> ``stack.cells.0``; ``embedding`` -> itself; the readout's
    arrays -> one.
    """
    head, _, _ = name.rpartition(".")
    return head or (name if name == "embedding" else "readout")
