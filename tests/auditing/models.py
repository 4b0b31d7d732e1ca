"""Modules that have the weights of a recurrence."""

import math

import torch
from torch import nn


class Heads(nn.Module):
    """The weights of a Mamba-2's decay."""

    def __init__(self, step, decays):
        super().__init__()
        self.A_log = nn.Parameter(torch.tensor(decays).log())
        self.dt_bias = nn.Parameter(torch.full((len(decays),), math.log(math.expm1(step))))


WRONG, PUBLISHED = (
    lambda: nn.Sequential(Heads(math.log1p(math.e), [float(a) for a in range(1, 17)])),
    lambda: nn.Sequential(Heads(0.01, [1.0, 2.0, 4.0, 16.0])),
)
