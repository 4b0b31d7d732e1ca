"""Hochreiter and Schmidhuber's long time lag problems."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Generator, Tensor

from gradscope.tasks._task import Batch, Task, register


@register("long_lag")
class LongLag(Task):
    """Say at the end which of two symbols came first, after a long known sequence or noise.

    One example (distractors known, length 6; x and y are the two first symbols)::

        input    x   a1  a2  a3  a4  a5
        target                       x      scored at the last step alone

    The answer is due p - 1 steps after the first symbol, with p = ``length``. The option
    ``distractors`` says what stands between them:

    - ``known``: the same p - 1 symbols in the same order every time (experiment 2a of the paper,
      the long lag without noise).
    - ``random``: at each step one of them at random, so that the sequence cannot be learned by
      heart (experiment 2c).

    Without a memory the best is ln 2.

    Reference: Hochreiter and Schmidhuber (1997), Long short-term memory, experiments 2a and 2c;
    there every next symbol is scored, here only the one that needs the memory.
    """

    length: int = Field(
        100,
        ge=2,
        description=(
            "p, the time steps in a sequence; the answer is due p - 1 steps after the "
            "symbol that decides it"
        ),
    )
    distractors: Literal["known", "random"] = Field(
        "known",
        description=(
            "what stands between the first symbol and the answer: known, the same "
            "symbols in the same order every time; random, one of them at random at "
            "each step"
        ),
    )
    alphabet_size: int | None = Field(
        None,
        ge=1,
        description=(
            "different symbols among the distractors; null: length - 1, so that no "
            "known one comes twice"
        ),
    )

    loss = "cross_entropy"
    criterion = "under 1% of the test sequences wrong (chosen)"

    @property
    def _distractors(self) -> int:
        return self.alphabet_size or self.length - 1

    @property
    def input_size(self) -> int:
        """The distractors, x and y."""
        return self._distractors + 2

    @property
    def output_size(self) -> int:
        """x or y."""
        return 2

    @property
    def tokens(self) -> bool:
        """Inputs are tokens."""
        return True

    @property
    def baseline(self) -> float:
        """ln 2."""
        return math.log(2)

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Fresh sequences."""
        first, count = torch.randint(0, 2, (batch_size,), generator=generator), self._distractors
        if self.distractors == "known":
            between = (torch.arange(self.length - 1) % count)[:, None].expand(-1, batch_size)
        else:
            between = torch.randint(0, count, (self.length - 1, batch_size), generator=generator)
        inputs = torch.cat((count + first[None], between))
        return Batch(inputs, torch.tensor([self.length - 1]), first[None])

    def wrong(
        self, outputs: Float[Tensor, "scored batch output"], targets: Tensor
    ) -> Bool[Tensor, " batch"]:
        """Any scored answer is wrong."""
        return (outputs.argmax(-1) != targets).any(0)

    def solved(self, loss: float, wrong_fraction: float) -> bool:
        """Whether the criterion is met."""
        return wrong_fraction < 0.01
