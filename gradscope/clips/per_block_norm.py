"""Clipping the embedding, each layer and the readout by norms of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from gradscope.clips._clip import Clip, Rule, gradient_norm, ratio, register


@register("per_block_norm")
class PerBlockNorm(Clip):
    """g_b <- g_b min(1, max_norm / ||g_b||), for each block b of the model.

    The blocks are the embedding, every layer, and the readout. A layer that explodes does not
    shorten the steps of the others. This rule stands between ``global_norm``, where all parameters
    are one block, and ``per_parameter_norm``, where every array is one.

    Reference: Yu, Lin, Salakhutdinov and Carbonell (2017), Block-normalized gradient method: an
    empirical study; there blocks are layers, and are rescaled at every update.
    """

    max_norm: float = Field(
        1.0,
        gt=0,
        description=(
            "largest 2-norm of the gradient of one block of the model that passes unchanged"
        ),
    )

    def begin(self, parameters: Mapping[str, Tensor]) -> Rule:
        """The rule that knows the block of each parameter."""
        blocks = [_block(name) for name in parameters]

        def rule(gradients: Sequence[Tensor], norm: Tensor) -> Tensor:
            by_block: dict[str, list[Tensor]] = {}
            for block, gradient in zip(blocks, gradients, strict=True):
                by_block.setdefault(block, []).append(gradient)
            return self._clip(list(by_block.values()), norm)

        return rule

    def __call__(self, gradients: Sequence[Tensor], norm: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """||clipped g|| / ||g||, with all gradients as one block."""
        return self._clip([gradients], norm)

    def _clip(self, blocks: Sequence[Sequence[Tensor]], norm: Tensor) -> Tensor:
        clipped = False
        for block in blocks:
            block_norm = gradient_norm(block)
            if bool(block_norm > self.max_norm):
                clipped = True
                for gradient in block:
                    gradient.mul_((self.max_norm / block_norm).to(gradient.dtype))
        return ratio([gradient for block in blocks for gradient in block], norm, clipped)


def _block(name: str) -> str:
    """The block of a parameter, such as ``stack.cells.0`` for ``stack.cells.0.weight_hh``."""
    head, _, _ = name.rpartition(".")
    return head or (name if name == "embedding" else "readout")
