"""How far back the gradient reaches."""

import math

import pytest
import torch

from tests.probes._draw import measured, trace_of


def test_a_known_decay():
    trace = trace_of("rnn")
    cell = trace.cell.layers[0]
    cell.activation = "identity"
    cell.weight_hh.data = 0.8 * torch.eye(5, dtype=torch.float64)
    columns = measured({"name": "memory_horizon", "sequences": 2}, trace)
    assert columns["horizon"] == pytest.approx([1 / -math.log(0.8)] * 4)
    assert columns["growth_rate"] == pytest.approx([math.log(0.8)] * 4)
    assert columns["log_norm"] == pytest.approx([20 * math.log(0.8)] * 4)
    assert columns["block"] == ["state", "state", "hidden", "hidden"]
    assert columns["sequence"] == [0, 1, 0, 1]


def test_a_single_step_has_none():
    assert measured("memory_horizon", trace_of().steps(0, 1)) == {}
