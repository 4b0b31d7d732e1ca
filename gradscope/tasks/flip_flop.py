"""The flip-flop of several bits."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Generator, Tensor

from gradscope.tasks._task import Batch, Task, register


@register("flip_flop")
class FlipFlop(Task):
    """Hold the sign of each channel's last pulse, at every step.

    One example of one channel (length 8)::

        input    0  1  0  0 -1  0  0  1
        target   0  1  1  1 -1 -1 -1  1      every step scored, 0 before the first pulse

    At each step a channel sends a pulse, +1 or -1, with probability ``rate``, and is 0 otherwise. A
    network that solves the task has 2^channels stable states. Ignoring its inputs the best answer
    is 0; its mean squared error is the share of steps from a first pulse on, summed over channels.

    Reference: Sussillo and Barak (2013), Opening the black box: low-dimensional dynamics in
    high-dimensional recurrent neural networks.
    """

    length: int = Field(50, ge=1, description="time steps in a sequence; every one is scored")
    channels: int = Field(
        3,
        ge=1,
        description=(
            "bits to hold at once, each with an input and an output of its own; "
            "2^channels stable states are needed"
        ),
    )
    rate: float = Field(
        0.1,
        gt=0,
        le=1,
        description=(
            "chance of a pulse at each step of each channel, 0 to 1; a bit is held "
            "for 1 / rate steps on average"
        ),
    )

    loss = "mse"
    criterion = "test mean squared error below 0.01 in each channel (chosen)"

    @property
    def input_size(self) -> int:
        """One number for each channel."""
        return self.channels

    @property
    def output_size(self) -> int:
        """One number for each channel."""
        return self.channels

    @property
    def baseline(self) -> float:
        """``channels`` times the mean over t of 1 - (1 - rate)^t."""
        q = 1 - self.rate
        silent = q * (1 - q**self.length) / (1 - q)  # expected steps before the first pulse
        return self.channels * (1 - silent / self.length)

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Fresh sequences."""
        shape = (self.length, batch_size, self.channels)
        sent = torch.rand(shape, generator=generator) < self.rate
        pulses = sent * (2.0 * torch.randint(0, 2, shape, generator=generator) - 1)
        steps = torch.arange(self.length)[:, None, None]
        last = torch.where(pulses != 0, steps, -1).cummax(0).values
        held = torch.where(last >= 0, pulses.gather(0, last.clamp_min(0)), torch.zeros(()))
        return Batch(pulses, torch.arange(self.length), held)

    def wrong(
        self, outputs: Float[Tensor, "scored batch output"], targets: Tensor
    ) -> Bool[Tensor, " batch"]:
        """An error above 0.5 anywhere."""
        return ((outputs - targets).abs() > 0.5).flatten(2).any(2).any(0)

    def solved(self, loss: float, wrong_fraction: float) -> bool:
        """Whether the criterion is met."""
        return loss < 0.01 * self.channels
