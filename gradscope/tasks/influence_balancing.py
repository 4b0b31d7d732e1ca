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

        input    1  -1   1   1  -1  -1      +1 or -1, each with chance 1/2
        target   .4  0  .4 -.2  .4  -1      every step scored

    y_t = sum over k <= t of w_{t-k} x_k, with w_d = positive / length at distances d below ``lag``
    and (positive - negative) / length beyond. Ignoring its inputs the best is to answer 0.

    Take the simplest model that adds up its inputs, h_t = h_{t-1} + theta x_t with output h_t. At
    theta = 0 its expected gradient, truncated to K steps, is -2 / length times the sum over t of
    w_0 + ... + w_{min(K - 1, t)}. Up to K = ``lag`` it is negative, whereas the whole gradient is
    positive if the far influence outweighs the near one: truncation gets the sign wrong, by the
    defaults up to K = 18. Inputs of mean 0 are what makes this so: inputs of another mean carry
    the far influence along in their common part.

    Reference: Tallec and Ollivier (2017), Unbiasing truncated backpropagation through time; there
    a fixed network with one parameter has these influences, here the target has them.
    """

    length: int = Field(50, ge=2, description="time steps in a sequence; every one is scored")
    lag: int = Field(
        10,
        ge=1,
        description=(
            "steps for which an input raises the target, before it lowers it; a "
            "gradient cut shorter sees the rise alone"
        ),
    )
    positive: float = Field(
        0.4,
        gt=0,
        description="weight of an input up to lag steps back, before the division by length",
    )
    negative: float = Field(
        1.0,
        gt=0,
        description=(
            "how much lower the weight is from lag steps back on: positive - "
            "negative, before the division by length; above positive it turns the "
            "sign"
        ),
    )

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
        """Mean over t of Var[y_t], the sum of squared influences: inputs have variance 1."""
        return float(self._weights().double().square().sum(1).mean())

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Fresh sequences."""
        inputs = torch.randint(0, 2, (self.length, batch_size), generator=generator) * 2.0 - 1
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
