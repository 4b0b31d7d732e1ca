"""The random permutation problem."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Generator, Tensor

from gradscope.tasks._task import Batch, Task, register


@register("random_permutation")
class RandomPermutation(Task):
    """Say at the end which of two symbols came first; all other symbols are random.

    One example (length 8, symbols 0 and 1 carry the message)::

        input    1  57  23   8  91  44  12  66
        target                               1      scored at the last step alone

    Without a memory the best is ln 2.

    Reference: Hochreiter and Schmidhuber (1997), experiment 2b; Martens and Sutskever (2011), whose
    form with 100 symbols Pascanu et al. (2013) use too.
    """

    length: int = Field(
        100,
        ge=2,
        description=(
            "time steps in a sequence: the symbol that matters, then length - 1 random ones"
        ),
    )
    alphabet_size: int = Field(
        100,
        ge=3,
        description=(
            "different symbols; the first two carry the message, the others are distractors"
        ),
    )

    loss = "cross_entropy"
    criterion = "under 1% of the test sequences wrong (Pascanu et al. 2013)"

    @property
    def input_size(self) -> int:
        """The alphabet."""
        return self.alphabet_size

    @property
    def output_size(self) -> int:
        """The two symbols of the message."""
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
        inputs = torch.randint(
            2, self.alphabet_size, (self.length, batch_size), generator=generator
        )
        inputs[0] = torch.randint(0, 2, (batch_size,), generator=generator)
        return Batch(inputs, torch.tensor([self.length - 1]), inputs[:1].clone())

    def wrong(
        self, outputs: Float[Tensor, "scored batch output"], targets: Tensor
    ) -> Bool[Tensor, " batch"]:
        """Any scored answer is wrong."""
        return (outputs.argmax(-1) != targets).any(0)

    def solved(self, loss: float, wrong_fraction: float) -> bool:
        """Whether the criterion is met."""
        return wrong_fraction < 0.01
