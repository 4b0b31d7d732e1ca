"""Plans for torch's recurrent modules."""

from __future__ import annotations

import torch
from torch import nn

from gradscope.remedies import Plan

INPUT, HIDDEN = 3, 4


def plan_of(module: nn.Module, learning_rate: float = 0.1, max_norm: float | None = None) -> Plan:
    """A plan of a model that holds this module as ``body.rnn``, and a readout."""
    torch.manual_seed(0)
    model = nn.ModuleDict({"body": nn.ModuleDict({"rnn": module}), "out": nn.Linear(HIDDEN, 1)})
    return Plan(model, learning_rate, max_norm, ("body.rnn",))
