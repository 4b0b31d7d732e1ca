"""Latching one bit against noise."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Generator, Tensor

from gradscope.tasks._task import Batch, Task, register


@register("latch")
class Latch(Task):
    """Say at the end which of two classes the first three steps showed; the rest is noise.

    One example (length 8, class 1)::

        input    1.0  1.0  1.0  .2  -.1  .3  -.2  .1      the class's sign, then N(0, noise^2)
        target                                     1

    A network that latches the bit keeps it in an attractor, and near an attractor the gradient
    vanishes. Without a memory the best is ln 2.

    Reference: Bengio, Simard and Frasconi (1994), Learning long-term dependencies with gradient
    descent is difficult; there the first inputs are learned, here they are given.
    """

    length: int = Field(
        20, ge=4, description="time steps in a sequence: three that show the class, then noise"
    )
    noise: float = Field(
        0.2,
        ge=0,
        description=(
            "standard deviation of the noise N(0, noise^2) that follows the class, "
            "whose own size is 1"
        ),
    )

    loss = "cross_entropy"
    criterion = "under 1% of the test sequences wrong (chosen)"

    @property
    def input_size(self) -> int:
        """One number."""
        return 1

    @property
    def output_size(self) -> int:
        """Two classes."""
        return 2

    @property
    def baseline(self) -> float:
        """ln 2."""
        return math.log(2)

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Fresh sequences."""
        classes = torch.randint(0, 2, (batch_size,), generator=generator)
        inputs = self.noise * torch.randn(self.length, batch_size, generator=generator)
        inputs[:3] = 2.0 * classes - 1
        return Batch(inputs.unsqueeze(-1), torch.tensor([self.length - 1]), classes[None])

    def wrong(
        self, outputs: Float[Tensor, "scored batch output"], targets: Tensor
    ) -> Bool[Tensor, " batch"]:
        """Any scored answer is wrong."""
        return (outputs.argmax(-1) != targets).any(0)

    def solved(self, loss: float, wrong_fraction: float) -> bool:
        """Whether the criterion is met."""
        return wrong_fraction < 0.01
