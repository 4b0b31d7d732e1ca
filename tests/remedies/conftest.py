"""Plans for torch's recurrent modules."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from gradscope.dynamics import critical_gain
from gradscope.remedies import Plan

INPUT, HIDDEN = 3, 4


@pytest.fixture(scope="session", autouse=True)
def one_critical_gain() -> Iterator[None]:
    """Compute mean field's critical gain, which takes a second, once for all that draw by it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gradscope.inits.critical.critical_gain", functools.cache(critical_gain))
        yield


def plan_of(module: nn.Module, learning_rate: float = 0.1, max_norm: float | None = None) -> Plan:
    """A plan of a model that holds this module as ``body.rnn``, and a readout."""
    torch.manual_seed(0)
    model = nn.ModuleDict({"body": nn.ModuleDict({"rnn": module}), "out": nn.Linear(HIDDEN, 1)})
    return Plan(model, learning_rate, max_norm, ("body.rnn",))
