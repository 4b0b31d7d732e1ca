"""How the samples of a batch lie in the tensors that a stack of blocks hands on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

#: streams of a sample that may lie along the batch's axis
_STREAMS = 64


@dataclass(frozen=True)
class Layout:
    """Lays a state's tensors out as rows, one for each sample, and back.

    Attributes:
        shapes: of the tensors.
        axis: along which the samples lie; -1 where all are one state, as they meet.
        streams: rows of the axis that belong to one sample.
        apart: whether these lie a whole batch apart, and not side by side.
    """

    shapes: tuple[torch.Size, ...]
    axis: int = 0
    streams: int = 1
    apart: bool = False

    @property
    def samples(self) -> int:
        """How many there are."""
        return 1 if self.axis < 0 else self.shapes[0][self.axis] // self.streams

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample's state, streams first; its length where it is of several tensors."""
        first, *others = self.shapes
        if others:
            return (sum(shape.numel() for shape in self.shapes) // self.samples,)
        if self.axis < 0:
            return tuple(first)
        rest = [size for axis, size in enumerate(first) if axis != self.axis]
        return (self.streams, *rest) if self.streams > 1 else tuple(rest)

    def of_rows(self) -> Layout:
        """The same tensors with a sample in each row of the first axis, where they have one."""
        if len({shape[:1] for shape in self.shapes}) > 1 or not self.shapes[0]:
            return Layout(self.shapes, -1)
        return Layout(self.shapes)

    def rows(self, tensors: Sequence[Tensor]) -> Tensor:
        """(samples, state)."""
        return torch.cat([self._row(tensor) for tensor in tensors], dim=-1)

    def tensors(self, rows: Tensor) -> list[Tensor]:
        """The tensors in the model's shapes."""
        sizes = [shape.numel() // self.samples for shape in self.shapes]
        parts = rows.split(sizes, dim=-1)
        return [self._back(part, shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def _row(self, tensor: Tensor) -> Tensor:
        if self.axis < 0:
            return tensor.reshape(1, -1)
        first = tensor.movedim(self.axis, 0)
        if self.streams > 1:
            first = first.reshape(*self._grouped(), *first.shape[1:])
            first = first.transpose(0, 1) if self.apart else first
        return first.reshape(self.samples, -1)

    def _back(self, part: Tensor, shape: torch.Size) -> Tensor:
        if self.axis < 0:
            return part.reshape(shape)
        rest = [size for axis, size in enumerate(shape) if axis != self.axis]
        grouped = part.reshape(self.samples, self.streams, *rest)
        grouped = grouped.transpose(0, 1) if self.apart else grouped
        return grouped.reshape(-1, *rest).movedim(0, self.axis)

    def _grouped(self) -> tuple[int, int]:
        return (self.streams, self.samples) if self.apart else (self.samples, self.streams)


def layouts(shapes: Sequence[torch.Size]) -> Iterator[Layout]:
    """The layouts that there may be, the likeliest first; in the last all samples are one."""
    kept = tuple(shapes)
    axes = min(len(shape) for shape in kept)
    for axis in range(min(2, axes)):
        size = kept[0][axis]
        if any(shape[axis] != size for shape in kept):
            continue
        yield Layout(kept, axis)
        if axis:
            continue
        divisors = [n for n in range(2, min(size, _STREAMS + 1)) if size % n == 0]
        yield from (Layout(kept, 0, n) for n in divisors)
        yield from (Layout(kept, 0, n, apart=True) for n in divisors)
    yield Layout(kept, -1)


def layout_of(
    shapes: Sequence[torch.Size], pulled: Callable[[list[Tensor]], list[list[Tensor]]]
) -> Layout:
    """The first layout in which no sample meets another.

    Args:
        shapes: of a state's tensors.
        pulled: takes a cotangent of a state to that of the one before, for every layer.
    """
    for layout in layouts(shapes):
        if layout.samples == 1 or _is_apart(layout, pulled):
            return layout
    raise AssertionError("the last layout has one sample")


def _is_apart(layout: Layout, pulled: Callable[[list[Tensor]], list[list[Tensor]]]) -> bool:
    """Whether gradients of a sample reach that sample alone; the first, middle and last."""
    count = layout.samples
    generator = torch.Generator().manual_seed(count)
    size = sum(shape.numel() for shape in layout.shapes) // count
    drawn = torch.randn(size, generator=generator, dtype=torch.float64)
    for sample in {0, count // 2, count - 1}:
        rows = drawn.new_zeros(count, size)
        rows[sample] = drawn
        for arrived in pulled(layout.tensors(rows)):
            found = layout.rows(arrived)
            found[sample] = 0
            if bool(found.any()):
                return False
    return True
