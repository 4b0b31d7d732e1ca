"""The delayed exclusive or."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Generator, Tensor

from gradscope.tasks._task import Batch, Task, register


@register("delayed_xor")
class DelayedXOR(Task):
    """Give, at every step, the exclusive or of the two bits that were read ``length`` steps ago.

    One example (length 3, 6 steps)::

        bit 1    1  0  1  1  0  0
        bit 2    0  0  1  0  1  0
        target            1  0  0      scored from step length on

    A sequence has ``length + extra`` steps, so it asks ``extra`` questions. Without a memory the
    best is ln 2.

    Reference: Engelken (2023), Gradient flossing: improving gradient descent through dynamic
    control of Jacobians; there one network tracks many delays, here each run has one.
    """

    length: int = Field(
        20, ge=1, description="steps from reading two bits to giving their exclusive or"
    )
    extra: int = Field(
        10, ge=1, description="answers due in a sequence, which has length + extra steps"
    )

    loss = "cross_entropy"
    criterion = "under 1% of the test sequences with a wrong answer (chosen)"

    @property
    def longest(self) -> int:
        """All sequences have ``length + extra`` steps."""
        return self.length + self.extra

    @property
    def input_size(self) -> int:
        """Two bits."""
        return 2

    @property
    def output_size(self) -> int:
        """0 or 1."""
        return 2

    @property
    def baseline(self) -> float:
        """ln 2."""
        return math.log(2)

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Fresh sequences."""
        bits = torch.randint(0, 2, (self.length + self.extra, batch_size, 2), generator=generator)
        steps = torch.arange(self.length, self.length + self.extra)
        return Batch(2.0 * bits - 1, steps, (bits[..., 0] ^ bits[..., 1])[: self.extra])

    def wrong(
        self, outputs: Float[Tensor, "scored batch output"], targets: Tensor
    ) -> Bool[Tensor, " batch"]:
        """Any scored answer is wrong."""
        return (outputs.argmax(-1) != targets).any(0)

    def solved(self, loss: float, wrong_fraction: float) -> bool:
        """Whether the criterion is met."""
        return wrong_fraction < 0.01
