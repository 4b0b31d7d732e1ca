"""Multi-query associative recall."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Generator, Tensor

from gradscope.tasks._task import Batch, Task, register


@register("associative_recall")
class AssociativeRecall(Task):
    """Pairs of a key and a value, then keys again: say the value of each.

    One example (2 pairs, letters are keys, numbers values)::

        input    B  3  D  7  .  .  D  B
        target                     7  3      scored there alone

    A sequence has ``pairs`` different keys, each with a value, then ``length`` blank steps, then
    every key once more in random order. What must be kept grows with the number of pairs, so a
    state of fixed size fails at some point. Without a memory the best is ln ``values``.

    Reference: Arora et al. (2024), Zoology: measuring and improving recall in efficient language
    models (MQAR); there the questions come at random distances, here all at the end.
    """

    length: int = Field(
        10,
        ge=0,
        description=(
            "blank steps between the last pair and the first question; a sequence has "
            "3 pairs + length steps in all"
        ),
    )
    pairs: int = Field(
        4,
        ge=1,
        description=(
            "pairs of a key and a value in a sequence, and questions at its end; at "
            "most as many as there are keys"
        ),
    )
    keys: int = Field(
        16, ge=1, description="symbols that may be a key; no key comes twice in a sequence"
    )
    values: int = Field(
        16,
        ge=2,
        description=(
            "symbols that may be a value, each equally likely; without a memory the "
            "loss is ln of their number"
        ),
    )

    loss = "cross_entropy"
    criterion = "under 1% of the test sequences with a wrong answer (chosen)"

    def model_post_init(self, context: object) -> None:
        """Refuse more pairs than keys."""
        if self.pairs > self.keys:
            raise ValueError(f"{self.pairs} pairs need as many different keys, got {self.keys}")

    @property
    def input_size(self) -> int:
        """Blank, keys and values."""
        return 1 + self.keys + self.values

    @property
    def output_size(self) -> int:
        """The values."""
        return self.values

    @property
    def tokens(self) -> bool:
        """Inputs are tokens."""
        return True

    @property
    def baseline(self) -> float:
        """The logarithm of ``values``."""
        return math.log(self.values)

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Fresh sequences."""
        keys = torch.rand(self.keys, batch_size, generator=generator).argsort(0)[: self.pairs]
        values = torch.randint(0, self.values, (self.pairs, batch_size), generator=generator)
        order = torch.rand(self.pairs, batch_size, generator=generator).argsort(0)
        pairs = torch.stack((1 + keys, 1 + self.keys + values), dim=1).flatten(0, 1)
        blank = torch.zeros(self.length, batch_size, dtype=torch.long)
        inputs = torch.cat((pairs, blank, 1 + keys.gather(0, order)))
        steps = torch.arange(len(inputs) - self.pairs, len(inputs))
        return Batch(inputs, steps, values.gather(0, order))

    def wrong(
        self, outputs: Float[Tensor, "scored batch output"], targets: Tensor
    ) -> Bool[Tensor, " batch"]:
        """Any scored answer is wrong."""
        return (outputs.argmax(-1) != targets).any(0)

    def solved(self, loss: float, wrong_fraction: float) -> bool:
        """Whether the criterion is met."""
        return wrong_fraction < 0.01
