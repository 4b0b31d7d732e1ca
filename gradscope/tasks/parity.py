"""Parity of a bit string."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Generator, Tensor

from gradscope.tasks._task import Batch, Task, register


@register("parity")
class Parity(Task):
    """Say whether the number of ones in a sequence of bits is odd, at the end or at every step.

    One example (length 8, every step scored)::

        input    1  0  1  1  0  0  1  0
        target   1  1  0  1  1  1  0  0

    Every bit matters: the answer is independent of any part of the sequence that lacks a bit.
    Without a memory the best is ln 2, except at the first step, where the bit itself is the answer;
    the baseline ignores it there as well.

    Reference: Hochreiter and Schmidhuber (1997), section 5, who note that random guessing of
    weights may solve the task; Bengio et al. (1994).
    """

    length: int = Field(20, ge=2, description="bits in a sequence, one a step")
    every_step: bool = Field(
        False,
        description=(
            "whether the parity so far is asked for at every step; false: at the last step alone"
        ),
    )

    loss = "cross_entropy"
    criterion = "under 1% of the test sequences with a wrong answer (chosen)"

    @property
    def input_size(self) -> int:
        """One bit."""
        return 1

    @property
    def output_size(self) -> int:
        """Even or odd."""
        return 2

    @property
    def baseline(self) -> float:
        """ln 2."""
        return math.log(2)

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Fresh sequences."""
        bits = torch.randint(0, 2, (self.length, batch_size), generator=generator)
        odd = bits.cumsum(0) % 2
        steps = torch.arange(self.length) if self.every_step else torch.tensor([self.length - 1])
        return Batch(bits.unsqueeze(-1).float(), steps, odd[steps])

    def wrong(
        self, outputs: Float[Tensor, "scored batch output"], targets: Tensor
    ) -> Bool[Tensor, " batch"]:
        """Any scored answer is wrong."""
        return (outputs.argmax(-1) != targets).any(0)

    def solved(self, loss: float, wrong_fraction: float) -> bool:
        """Whether the criterion is met."""
        return wrong_fraction < 0.01
