"""A cell of somebody's own."""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from gradscope.cells import Cell, register
from gradscope.inits import INITS


@register("leaky")
class Leaky(Cell):
    """A leaky integrator: h_t = (1 - a) h_{t-1} + a tanh(W x_t + U h_{t-1})."""

    def __init__(
        self,
        input_size: int,
        *,
        hidden_size: Annotated[int, Field(ge=1, description="number of units")] = 8,
        leak: Annotated[float, Field(gt=0, le=1, description="share of the new state")] = 0.5,
        generator=None,
        dtype=None,
    ):
        super().__init__(input_size, hidden_size)
        self.leak = leak
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size, dtype=dtype))
        self.weight_hh = nn.Parameter(torch.empty(hidden_size, hidden_size, dtype=dtype))
        self.reset_parameters(generator)

    @torch.no_grad()
    def reset_parameters(self, generator=None):
        init = INITS.make("halved")
        bound = 1 / math.sqrt(self.hidden_size)
        self.weight_ih.copy_(init.dense(self.hidden_size, self.input_size, bound, generator))
        self.weight_hh.copy_(init.recurrent(self.hidden_size, generator))

    def forward(self, x, s):
        new = torch.tanh(x @ self.weight_ih.mT + s @ self.weight_hh.mT)
        return (1 - self.leak) * s + self.leak * new
