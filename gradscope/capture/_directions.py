"""A recurrence's own time: forward, and every sequence ending at the last step."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Shaped
from torch import Tensor

from gradscope.dynamics import Adjoints


class Direction:
    """Turns the caller's time axis into a recurrence's own, and back.

    In its own time a recurrence runs forward, and every sequence ends at the last step: short ones
    are held at their beginning. Tensors are time-major, (time, batch, ...).

    Args:
        steps: of the longest sequence.
        batch: number of sequences.
        lengths: of each; None where all are as long.
        reverse: whether the recurrence reads from the end.
        device: of the tensors.

    Attributes:
        mask: which steps of its own time each sequence takes; None where all take all.
    """

    def __init__(
        self,
        steps: int,
        batch: int,
        lengths: Tensor | None,
        *,
        reverse: bool,
        device: torch.device,
    ):
        self.reverse = reverse
        self.mask: Bool[Tensor, "time batch"] | None = None
        if lengths is None or int(lengths.min()) >= steps:
            return
        lengths = lengths.to(device)[None]
        t, shift = torch.arange(steps, device=device)[:, None], steps - lengths
        turned = steps - 1 - t + torch.zeros_like(shift)
        self.mask = t >= shift
        self._source = (turned if reverse else t - shift).clamp(0, steps - 1)
        self._back = (turned if reverse else t + shift).clamp(0, steps - 1)
        self._real = t < lengths

    def to_own(self, x: Shaped[Tensor, "time batch *any"]) -> Shaped[Tensor, "time batch *any"]:
        """From the caller's time to the recurrence's; zero at steps that are held."""
        if self.mask is None:
            return x.flip(0) if self.reverse else x
        return _gathered(x, self._source, self.mask)

    def to_caller(self, x: Shaped[Tensor, "time batch *any"]) -> Shaped[Tensor, "time batch *any"]:
        """From the recurrence's time to the caller's; zero beyond a sequence's end."""
        if self.mask is None:
            return x.flip(0) if self.reverse else x
        return _gathered(x, self._back, self._real)

    def adjoints_to_caller(self, adjoints: Adjoints) -> Adjoints:
        """The same of adjoints and their scale."""
        return Adjoints(self.to_caller(adjoints.mantissa), self.to_caller(adjoints.log_scale))


def _gathered(x: Tensor, index: Tensor, valid: Tensor) -> Tensor:
    while index.dim() < x.dim():
        index, valid = index.unsqueeze(-1), valid.unsqueeze(-1)
    return torch.where(valid, x.gather(0, index.expand(x.shape)), torch.zeros_like(x))
