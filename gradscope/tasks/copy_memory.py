"""The copy memory problem."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Generator, Tensor

from gradscope.tasks._task import Batch, Task, register

SYMBOLS, MARKER, COPIED = 8, 9, 10


@register("copy_memory")
class CopyMemory(Task):
    """Read ten symbols, a long blank and a marker; then say the ten symbols again.

    One example with three symbols in place of ten (T = 5; . is blank, M the marker arjovsky)::

        input    3  7  1  .  .  .  .  M  .  .  .
        target   .  .  .  .  .  .  .  .  3  7  1

    Tokens: blank 0, symbols 1..8, marker 9. All of the T + 20 steps are scored. The option
    ``marker`` says where the marker stands, steps counted from 0:

    - ``arjovsky``: at step T + 9 (Arjovsky, Shah and Bengio 2016).
    - ``tcn``: at every step from T + 9 to the end (Bai, Kolter and Koltun 2018).
    - ``exprnn``: at step T + 10, that of the first symbol to say (Lezcano-Casado and
      Martinez-Rubio 2019).

    Without a memory the best is to say blank, and then one of eight symbols: 10 ln 8 / (T + 20).
    """

    length: int = Field(
        100,
        ge=1,
        description=(
            "T, the blank steps between the last symbol and recall; a sequence has T + 20 steps"
        ),
    )
    marker: Literal["arjovsky", "tcn", "exprnn"] = Field(
        "arjovsky",
        description=(
            "where the marker that asks for recall stands, counted from step 0: "
            "arjovsky at T + 9; tcn at every step from T + 9 on; exprnn at T + 10, "
            "the step of the first answer"
        ),
    )

    loss = "cross_entropy"
    criterion = (
        "under 1% of the test sequences with a wrong symbol among the ten recalled (Pascanu et al. "
        "2013 for their memorisation problem; the sources of these variants define none)"
    )

    @property
    def input_size(self) -> int:
        """Blank, eight symbols, marker."""
        return SYMBOLS + 2

    @property
    def output_size(self) -> int:
        """Blank and eight symbols."""
        return SYMBOLS + 1

    @property
    def tokens(self) -> bool:
        """Inputs are tokens."""
        return True

    @property
    def baseline(self) -> float:
        """10 ln 8 / (T + 20) nats."""
        return COPIED * math.log(SYMBOLS) / (self.length + 2 * COPIED)

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Fresh sequences."""
        time = self.length + 2 * COPIED
        symbols = torch.randint(1, SYMBOLS + 1, (COPIED, batch_size), generator=generator)
        inputs = torch.zeros(time, batch_size, dtype=torch.long)
        inputs[:COPIED] = symbols
        first = self.length + COPIED - (0 if self.marker == "exprnn" else 1)
        inputs[first : None if self.marker == "tcn" else first + 1] = MARKER
        targets = torch.zeros(time, batch_size, dtype=torch.long)
        targets[-COPIED:] = symbols
        return Batch(inputs, torch.arange(time), targets)

    def wrong(
        self, outputs: Float[Tensor, "scored batch output"], targets: Tensor
    ) -> Bool[Tensor, " batch"]:
        """Any of the ten symbols is wrong."""
        return (outputs[-COPIED:].argmax(-1) != targets[-COPIED:]).any(0)

    def solved(self, loss: float, wrong_fraction: float) -> bool:
        """Whether the criterion is met."""
        return wrong_fraction < 0.01
