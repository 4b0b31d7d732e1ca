"""A model's outputs along batch and time, and which of them are asked."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gradscope.errors import GradscopeError
from gradscope.influencing._asked import Asked
from gradscope.influencing._axes import Axes
from gradscope.influencing._leaf import Leaf
from gradscope.influencing._losses import next_token_losses
from gradscope.influencing._output import Placed, placed, tensor_of
from gradscope.influencing._places import Places, outputs_asked


@dataclass(frozen=True)
class View:
    """What a model that has run has put out, with the axes in one order.

    Attributes:
        leaf: the input.
        value: the outputs; where there is one for each example it stands at each position.
        places: which of them are asked, and how far back inputs lie.
        notes: what was not certain.
    """

    leaf: Leaf
    value: Float[Tensor, "batch time output"]
    places: Places
    notes: tuple[str, ...]

    @classmethod
    def of(cls, output: Tensor, leaf: Leaf, asked: Asked) -> View:
        """Find the axes of an output, and choose the positions that are asked.

        Args:
            output: that counts of what the model has returned.
            leaf: the input.
            asked: of the model.

        Raises:
            GradscopeError: for an output without a derivative, or of a shape that cannot be read.
        """
        real, loss = _real(leaf, asked.mask), asked.loss
        rows, columns = real.shape
        if callable(loss):
            output = tensor_of(loss(output), None)
            if output.ndim == 0:
                raise GradscopeError("loss= gives one number: should give one for each output")
        where = placed(output, rows, columns)
        _check(where)
        axes = Axes.of(where, leaf, real, asked.batch_first)
        value, real = _along(where, axes, columns if axes.batch_first else rows), _batch(real, axes)
        last = real & (real.flip(1).cumsum(1).flip(1) == 1)
        scored = real if where.by_position else last
        if isinstance(loss, str):
            tokens = _batch(leaf.given.sequence, axes)
            losses, scored = next_token_losses(value, tokens, real, loss)
            value = losses[..., None]
        outputs = outputs_asked(scored, asked.positions, axes.future)
        places = Places(real, outputs, axes.future, axes.batch_first)
        notes = axes.note, where.note if loss is None else ""
        return cls(leaf, value, places, tuple(note for note in notes if note))

    def of_layer(self, hidden: Tensor) -> Float[Tensor, "batch time state"] | None:
        """A layer's output along batch and time; None where it is not one for each position."""
        rows, columns = self.leaf.given.sequence.shape[:2]
        if hidden.shape[:2] != (rows, columns) or not hidden.requires_grad:
            return None
        value = hidden.reshape(rows, columns, -1)
        return value if self.places.batch_first else value.transpose(0, 1)


def _real(leaf: Leaf, mask: Tensor | None) -> Bool[Tensor, "rows columns"]:
    """Which positions are no padding."""
    shape = leaf.given.sequence.shape[:2]
    if mask is None:
        mask = leaf.given.mask
    if mask is None:
        return torch.ones(shape, dtype=torch.bool, device=leaf.given.sequence.device)
    if mask.shape != shape:
        raise GradscopeError(
            f"mask has shape {tuple(mask.shape)}: should be {tuple(shape)}, as the input's first "
            "two axes, True where there is no padding"
        )
    return mask.to(leaf.given.sequence.device).bool()


def _check(where: Placed) -> None:
    if not where.value.requires_grad:
        raise GradscopeError(
            "the output has no derivative: the model computes it under torch.no_grad(), or "
            "detaches it (detach(), numpy(), a new tensor of its values)"
        )
    if not bool(where.value.isfinite().all()):
        raise GradscopeError("the model's output is not finite")


def _along(where: Placed, axes: Axes, time: int) -> Float[Tensor, "batch time output"]:
    if not where.by_position:
        return where.value.expand(-1, time, -1)
    return where.value if axes.batch_first else where.value.transpose(0, 1)


def _batch(along: Tensor, axes: Axes) -> Tensor:
    """What lies along the input's axes, with the batch first."""
    return along if axes.batch_first else along.transpose(0, 1)
