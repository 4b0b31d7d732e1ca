"""Which axis is time: found by where a gradient goes, as examples do not influence each other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gradscope.errors import GradscopeError
from gradscope.influencing._leaf import Leaf
from gradscope.influencing._output import Placed


@dataclass(frozen=True)
class Axes:
    """How a model uses the first two axes of its input.

    Attributes:
        batch_first: whether the first one is the batch.
        future: whether an output depends on inputs after it.
        note: what was not certain; "" where all was.
    """

    batch_first: bool
    future: bool
    note: str = ""

    @classmethod
    def of(
        cls, placed: Placed, leaf: Leaf, real: Bool[Tensor, "rows columns"], declared: bool | None
    ) -> Axes:
        """Follow the gradient of one output at two places: halfway, and at the end.

        Args:
            placed: the output.
            leaf: the input.
            real: which positions are no padding.
            declared: whether the batch is first, as the user says; None: not said.

        Raises:
            GradscopeError: if examples influence each other, if the user says what is not so, or
                if there is nothing by which to tell.
        """
        rows, columns = real.shape
        if not placed.by_position:
            return cls(_axis_of_examples(placed, leaf, declared), False)
        down = across = both = future = False
        for row, column in (
            _near(real, rows // 2, columns // 2),
            _near(real, rows - 1, columns - 1),
        ):
            reached = influenced(placed.value[row, column], leaf)
            elsewhere = reached.clone()
            elsewhere[row, :] = elsewhere[:, column] = False
            reached[row, column] = False
            down, across = down | bool(reached[:, column].any()), across | bool(reached[row].any())
            both |= bool(elsewhere.any())
            future |= bool(reached[row + 1 :, column].any() | reached[row, column + 1 :].any())
        if both or (down and across):
            raise GradscopeError(_MIXED)
        if not (down or across):
            return cls(*_unknown(declared, rows, columns))
        if declared is not None and declared != across:
            raise GradscopeError(
                f"batch_first={declared}, but the model passes influence along the input's "
                f"{'second' if across else 'first'} axis: give batch_first={across}, or transpose "
                "the input"
            )
        return cls(across, future)


def _near(real: Bool[Tensor, "rows columns"], row: int, column: int) -> tuple[int, int]:
    """A position that is no padding, as near as there is one."""
    places = real.nonzero()
    distance = (places - torch.tensor([row, column], device=places.device)).abs().sum(1)
    nearest = places[distance.argmin()]
    return int(nearest[0]), int(nearest[1])


_MIXED = (
    "one example's output depends on other examples' inputs, so that no influence can be told by "
    "example: normalisation over the batch outside of eval mode, or attention along the batch "
    "axis; give one example alone, or the batch as the model takes it"
)


def influenced(output: Float[Tensor, " output"], leaf: Leaf) -> Bool[Tensor, "rows columns"]:
    """Which positions of the input an output depends on, by the gradient of a random direction."""
    direction = torch.randn(output.shape, generator=torch.Generator().manual_seed(0))
    assert leaf.value is not None
    (gradient,) = torch.autograd.grad(
        output,
        leaf.value,
        direction.to(output),
        retain_graph=True,
        allow_unused=True,
    )
    if gradient is None:
        gradient = torch.zeros_like(leaf.value)
    return leaf.by_position(gradient).ne(0).any(-1)


def _axis_of_examples(placed: Placed, leaf: Leaf, declared: bool | None) -> bool:
    """Whether the first axis is that of examples, where there is one vector for each of them."""
    rows, columns = leaf.given.sequence.shape[:2]
    count = len(placed.value)
    reached = influenced(placed.value[count // 2, 0], leaf)
    first = count == rows and not _others(reached, count // 2)
    second = count == columns and not _others(reached.T, count // 2)
    if first != second:
        if declared is not None and declared != first:
            raise GradscopeError(
                f"batch_first={declared}, but an example lies along the input's "
                f"{'first' if first else 'second'} axis: give batch_first={first}"
            )
        return first
    if not first:
        raise GradscopeError(_MIXED)
    return _unknown(declared, rows, columns)[0]


def _others(reached: Bool[Tensor, "batch time"], example: int) -> bool:
    """Whether an output depends on other examples."""
    return bool(reached.any(1).sum() > reached[example].any())


def _unknown(declared: bool | None, rows: int, columns: int) -> tuple[bool, bool, str]:
    """(batch first, future, note) where no position influences another."""
    if declared is not None:
        return declared, False, ""
    if rows == 1:
        return True, False, ""
    return (
        True,
        False,
        (
            "no input influences the output at another position, so that nothing showed which axis "
            "is time: the first was taken as the batch; batch_first= says it"
        ),
    )
