"""A task of somebody's own."""

import torch
from pydantic import Field

from gradscope.tasks import Batch, Task, register


@register("echo")
class Echo(Task):
    """Say at the end what number came first.

    input    0.3  0  0  0
    target    .   .  .  0.3
    """

    length: int = Field(6, ge=2, description="number of steps")

    loss = "mse"
    criterion = "test loss under a tenth of the baseline (chosen)"

    @property
    def input_size(self):
        return 1

    @property
    def output_size(self):
        return 1

    @property
    def baseline(self):
        return 1.0

    def sample(self, batch_size, generator):
        inputs = torch.zeros(self.length, batch_size, 1)
        inputs[0] = torch.randn(batch_size, 1, generator=generator)
        return Batch(inputs, torch.tensor([self.length - 1]), inputs[:1].clone())

    def wrong(self, outputs, targets):
        return ((outputs - targets).abs() > 0.3).any(-1).any(0)

    def solved(self, loss, wrong_fraction):
        return loss < 0.1
