"""Influence balancing."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Generator, Tensor

from gradscope.tasks._task import Batch, Task, register


@register("influence_balancing")
class InfluenceBalancing(Task):
    """Predict a target that each input raises for a short while, and lowers by more later.

    One example (length 6, lag 3, positive 0.4, negative 1; targets before they are divided by 6)::

        input    1   0   0   0   0   0
        target   .4  .4  .4 -.6 -.6 -.6      every step scored

    y_t = (positive * (sum of the inputs of the last ``lag`` steps) - (negative - positive) * (sum
    of all earlier inputs)) / length. A gradient truncated to fewer than ``lag`` steps sees only the
    near, positive influence, and so has the wrong sign. Without a memory, and without the input,
    the best is to answer the mean.

    Reference: Tallec and Ollivier (2017), Unbiasing truncated backpropagation through time; there
    a fixed network with one parameter has these influences, here the target has them.
    """

    length: int = Field(50, ge=2, description="number of time steps")
    lag: int = Field(10, ge=1, description="steps for which an input's influence is positive")
    positive: float = Field(0.4, gt=0, description="near influence")
    negative: float = Field(1.0, gt=0, description="far influence is positive - negative")

    loss = "mse"
    criterion = "test mean squared error below a hundredth of the baseline (chosen)"

    def model_post_init(self, context: object) -> None:
        """Refuse a lag as long as the sequence."""
        if self.lag >= self.length:
            raise ValueError(f"lag should be below the length {self.length}, got {self.lag}")

    @property
    def input_size(self) -> int:
        """One number."""
        return 1

    @property
    def output_size(self) -> int:
        """One number."""
        return 1

    def _weights(self) -> Tensor:
        """Influence of x_k on y_t, ``(length, length)``."""
        distance = torch.arange(self.length)[:, None] - torch.arange(self.length)[None]
        influence = torch.where(distance < self.lag, self.positive, self.positive - self.negative)
        return torch.where(distance >= 0, influence, torch.zeros(())) / self.length

    @property
    def baseline(self) -> float:
        """Mean over t of Var[y_t]; inputs are 0 or 1 with variance 1/4."""
        return float(self._weights().double().square().sum(1).mean() / 4)

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Fresh sequences."""
        inputs = torch.randint(0, 2, (self.length, batch_size), generator=generator).float()
        targets = (self._weights() @ inputs).unsqueeze(-1)
        return Batch(inputs.unsqueeze(-1), torch.arange(self.length), targets)

    def wrong(
        self, outputs: Float[Tensor, "scored batch output"], targets: Tensor
    ) -> Bool[Tensor, " batch"]:
        """A mean squared error above a tenth of the baseline."""
        return (outputs - targets).square().mean((0, 2)) > 0.1 * self.baseline

    def solved(self, loss: float, wrong_fraction: float) -> bool:
        """Whether the criterion is met."""
        return loss < 0.01 * self.baseline
