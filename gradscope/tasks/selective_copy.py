"""Selective copying."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Generator, Tensor

from gradscope.tasks._task import Batch, Task, register

SYMBOLS, MARKER = 8, 9


@register("selective_copy")
class SelectiveCopy(Task):
    """Say, after a marker, the symbols that stood anywhere in a long blank, in their order.

    One example with three symbols (length 8; . is blank, M the marker)::

        input    .  3  .  .  7  .  1  .  M  .  .
        target   .  .  .  .  .  .  .  .  3  7  1      scored there alone

    Symbols, each one of eight, stand at ``symbols`` of ``length`` steps. The marker follows, and
    the answers are due from the step of the marker on. What to keep depends on the content, so a
    network whose gates do not see the input keeps the blanks as well. Without a memory the best is
    one of eight: ln 8 nats.

    Reference: Jing et al. (2019), Gated orthogonal recurrent units (denoise task); Gu and Dao
    (2024), Mamba (selective copying).
    """

    length: int = Field(
        100,
        ge=2,
        description=(
            "steps before the marker, among which the symbols stand; at least as many "
            "as there are symbols"
        ),
    )
    symbols: int = Field(
        10,
        ge=1,
        description=(
            "symbols to keep in one sequence, each one of eight; as many answers follow the marker"
        ),
    )

    loss = "cross_entropy"
    criterion = "under 1% of the test sequences with a wrong symbol (chosen)"

    def model_post_init(self, context: object) -> None:
        """Refuse more symbols than steps."""
        if self.symbols > self.length:
            raise ValueError(f"{self.symbols} symbols do not fit into {self.length} steps")

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
        """ln 8."""
        return math.log(SYMBOLS)

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Fresh sequences."""
        time = self.length + self.symbols
        kept = torch.randint(1, SYMBOLS + 1, (self.symbols, batch_size), generator=generator)
        places = (
            torch.rand(self.length, batch_size, generator=generator)
            .argsort(0)[: self.symbols]
            .sort(0)
            .values
        )
        inputs = torch.zeros(time, batch_size, dtype=torch.long)
        inputs.scatter_(0, places, kept)
        inputs[self.length] = MARKER
        return Batch(inputs, torch.arange(self.length, time), kept)

    def wrong(
        self, outputs: Float[Tensor, "scored batch output"], targets: Tensor
    ) -> Bool[Tensor, " batch"]:
        """Any scored answer is wrong."""
        return (outputs.argmax(-1) != targets).any(0)

    def solved(self, loss: float, wrong_fraction: float) -> bool:
        """Whether the criterion is met."""
        return wrong_fraction < 0.01
