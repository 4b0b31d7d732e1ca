"""The adding problem."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Generator, Tensor

from gradscope.tasks._task import Batch, Task, integers, register


@register("adding")
class Adding(Task):
    """Add the two marked numbers of a long sequence; the answer is due at its end.

    One example (length 8, placement halves; target 0.3 + 0.9 = 1.2)::

        value   .5  .3  .8  .1  .6  .9  .2  .4      U[0, 1)
        mark     0   1   0   0   0   1   0   0      two ones
        target                               1.2

    The option ``placement`` says where the marks stand and what is asked:

    - ``uniform``: at two distinct positions anywhere (Bai, Kolter and Koltun 2018).
    - ``halves``: one in each half (Le, Jaitly and Hinton 2015; Arjovsky, Shah and Bengio 2016).
    - ``pascanu``: the first mark in [0, T/10), the second in [T/10, T/2), T drawn for each batch
      from [length, 1.1 length); the mark is channel 0, and the target is the mean (Pascanu,
      Mikolov and Bengio 2013, after Hochreiter and Schmidhuber 1997).

    Always answering with the expected target has a mean squared error of Var[U + U] = 1/6 = 0.1667
    for a sum, and of 1/24 for a mean.
    """

    length: int = Field(
        100,
        ge=2,
        description=(
            "T, the time steps in a sequence (of placement pascanu at least so many, "
            "up to 1.1 times)"
        ),
    )
    placement: Literal["uniform", "halves", "pascanu"] = Field(
        "halves",
        description=(
            "where the two marks stand: uniform, anywhere; halves, one in each half; "
            "pascanu, in the first tenth and between there and the middle, with the "
            "mean as target"
        ),
    )

    loss = "mse"
    criterion = (
        "test mean squared error below 0.01 (chosen: the sources of these placements define none); "
        "placement pascanu: no test sequence with a squared error above 0.04 (Pascanu et al. 2013)"
    )

    def model_post_init(self, context: object) -> None:
        """Refuse a length in which pascanu's two ranges have no room."""
        if self.placement == "pascanu" and self.length < 10:
            raise ValueError(f"placement pascanu needs a length of at least 10, got {self.length}")

    @property
    def input_size(self) -> int:
        """Value and mark."""
        return 2

    @property
    def output_size(self) -> int:
        """The sum, or the mean."""
        return 1

    @property
    def baseline(self) -> float:
        """Variance of the target: 1/6 for a sum of two U[0, 1), 1/24 for their mean."""
        return 1 / 24 if self.placement == "pascanu" else 1 / 6

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Fresh sequences."""
        time = self.length
        if self.placement == "pascanu":
            end = max(int(1.1 * self.length), self.length + 1)
            time = int(integers(self.length, end, 1, generator))
        values = torch.rand(time, batch_size, generator=generator)
        first, second = self._marks(time, batch_size, generator)
        marks, sequences = torch.zeros(time, batch_size), torch.arange(batch_size)
        marks[first, sequences] = marks[second, sequences] = 1.0
        target = values[first, sequences] + values[second, sequences]
        if self.placement == "pascanu":
            inputs, target = torch.stack((marks, values), dim=-1), target / 2
        else:
            inputs = torch.stack((values, marks), dim=-1)
        return Batch(inputs, torch.tensor([time - 1]), target.view(1, batch_size, 1))

    def _marks(self, time: int, batch_size: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """The positions of the two marks of each sequence."""
        if self.placement == "uniform":
            first = integers(0, time, batch_size, generator)
            second = integers(0, time - 1, batch_size, generator)
            return first, second + (second >= first)
        middle, end = (time // 2, time) if self.placement == "halves" else (time // 10, time // 2)
        first = integers(0, middle, batch_size, generator)
        return first, integers(middle, end, batch_size, generator)

    def wrong(
        self, outputs: Float[Tensor, "scored batch output"], targets: Tensor
    ) -> Bool[Tensor, " batch"]:
        """An error above 0.04; placement pascanu: a squared error above 0.04."""
        error = (outputs - targets)[-1, :, 0].abs()
        return (error.square() if self.placement == "pascanu" else error) > 0.04

    def solved(self, loss: float, wrong_fraction: float) -> bool:
        """Whether the criterion is met."""
        return wrong_fraction == 0 if self.placement == "pascanu" else loss < 0.01
