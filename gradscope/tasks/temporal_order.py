"""The temporal order problem."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Generator, Tensor

from gradscope.tasks._task import Batch, Task, integers, register

DISTRACTORS = 4
RANGES = {2: ((1, 2), (5, 6)), 3: ((1, 2), (3, 4), (6, 7))}  # in tenths of the length


@register("temporal_order")
class TemporalOrder(Task):
    """Say at the end in which order the few symbols that matter came.

    One example (length 10, two symbols A and B among distractors c d e f; B then A)::

        input    c  B  f  e  d  A  d  f  c  e
        target                              v0 + 2 v1 = 1 + 2 * 0

    Two symbols that matter stand at positions drawn from [.1 T, .2 T) and [.5 T, .6 T); three of
    them from [.1 T, .2 T), [.3 T, .4 T) and [.6 T, .7 T). The class is v0 + 2 v1 (+ 4 v2), with
    v = 0 for A and 1 for B. Tokens: distractors 0..3, A 4, B 5.

    Reference: Hochreiter and Schmidhuber (1997), experiment 6; positions and classes as in the code
    of Pascanu, Mikolov and Bengio (2013), On the difficulty of training recurrent neural networks.
    """

    length: int = Field(
        50,
        ge=10,
        description=(
            "T, the time steps in a sequence; positions of the symbols that matter scale with it"
        ),
    )
    max_length: int | None = Field(
        None,
        ge=10,
        description=(
            "T is drawn anew for each batch from length to this; null: every sequence "
            "has length steps"
        ),
    )
    symbols: Literal[2, 3] = Field(
        2, description="how many symbols matter: 2 make four classes, 3 make eight"
    )

    loss = "cross_entropy"
    criterion = "under 1% of the test sequences classified wrongly (Pascanu et al. 2013)"

    def model_post_init(self, context: object) -> None:
        """Refuse an empty range of lengths."""
        if self.max_length is not None and self.max_length < self.length:
            raise ValueError(f"max_length {self.max_length} is less than length {self.length}")

    def at_length(self, length: int) -> TemporalOrder:
        """The same task with sequences of exactly this length."""
        return type(self)(length=length, max_length=None, symbols=self.symbols)

    @property
    def longest(self) -> int:
        """The longest T that is drawn."""
        return self.max_length or self.length

    @property
    def input_size(self) -> int:
        """Four distractors, A and B."""
        return DISTRACTORS + 2

    @property
    def output_size(self) -> int:
        """One class for each order."""
        return 2**self.symbols

    @property
    def tokens(self) -> bool:
        """Inputs are tokens."""
        return True

    @property
    def baseline(self) -> float:
        """ln 4 nats for two symbols, ln 8 for three."""
        return self.symbols * math.log(2)

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Fresh sequences."""
        time = self.length
        if self.max_length is not None:
            time = int(integers(self.length, self.max_length + 1, 1, generator))
        inputs = torch.randint(0, DISTRACTORS, (time, batch_size), generator=generator)
        target, sequences = torch.zeros(batch_size, dtype=torch.long), torch.arange(batch_size)
        for place, (low, high) in enumerate(RANGES[self.symbols]):
            position = integers(low * time // 10, high * time // 10, batch_size, generator)
            value = integers(0, 2, batch_size, generator)
            inputs[position, sequences] = DISTRACTORS + value
            target += value << place
        return Batch(inputs, torch.tensor([time - 1]), target.view(1, batch_size))

    def wrong(
        self, outputs: Float[Tensor, "scored batch output"], targets: Tensor
    ) -> Bool[Tensor, " batch"]:
        """The wrong class."""
        return outputs[-1].argmax(-1) != targets[-1]

    def solved(self, loss: float, wrong_fraction: float) -> bool:
        """Whether the criterion is met."""
        return wrong_fraction < 0.01
