"""The multiplication problem."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Generator, Tensor

from gradscope.tasks._task import Batch, Task, integers, register


@register("multiplication")
class Multiplication(Task):
    """Multiply the two marked numbers of a long sequence; the answer is due at its end.

    One example (length 8; target 0.3 * 0.9 = 0.27)::

        value   .5  .3  .8  .1  .6  .9  .2  .4      U[0, 1)
        mark     0   1   0   0   0   1   0   0      one in each half
        target                               .27

    To add up is not enough: whatever is made of the two numbers' sum, the mean squared error is at
    least 1/540, and a share of at least (1 - 0.4 sqrt(2))^2 = 18.9% of the answers misses by more
    than 0.04. Always answering 1/4 has a mean squared error of Var[U U'] = 1/9 - 1/16 = 7/144.

    Reference: Hochreiter and Schmidhuber (1997), Long short-term memory, experiment 5; the marks
    stand as in ``adding`` with placement halves.
    """

    length: int = Field(
        100, ge=2, description="time steps in a sequence, with one marked number in each half"
    )

    loss = "mse"
    criterion = (
        "no test sequence with an error above 0.04 but for 13 in 2560 (Hochreiter and Schmidhuber "
        "1997, their n_seq 13)"
    )

    @property
    def input_size(self) -> int:
        """Value and mark."""
        return 2

    @property
    def output_size(self) -> int:
        """The product."""
        return 1

    @property
    def baseline(self) -> float:
        """7 / 144."""
        return 7 / 144

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Fresh sequences."""
        time, half = self.length, self.length // 2
        values = torch.rand(time, batch_size, generator=generator)
        first = integers(0, half, batch_size, generator)
        second = integers(half, time, batch_size, generator)
        marks, sequences = torch.zeros(time, batch_size), torch.arange(batch_size)
        marks[first, sequences] = marks[second, sequences] = 1.0
        target = values[first, sequences] * values[second, sequences]
        inputs = torch.stack((values, marks), dim=-1)
        return Batch(inputs, torch.tensor([time - 1]), target.view(1, batch_size, 1))

    def wrong(
        self, outputs: Float[Tensor, "scored batch output"], targets: Tensor
    ) -> Bool[Tensor, " batch"]:
        """An error above 0.04."""
        return (outputs - targets)[-1, :, 0].abs() > 0.04

    def solved(self, loss: float, wrong_fraction: float) -> bool:
        """Whether the criterion is met."""
        return wrong_fraction <= 13 / 2560
