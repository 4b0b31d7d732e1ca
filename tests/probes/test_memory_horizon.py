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
    assert columns["horizon_low"] == pytest.approx([1 / -math.log(0.8)] * 4, rel=1e-5)
    assert columns["horizon_high"] == pytest.approx([1 / -math.log(0.8)] * 4, rel=1e-5)
    assert columns["kind"] == ["reached"] * 4
    assert columns["censored"] == [False] * 4
    assert columns["longest"] == [20] * 4
    assert columns["law"] == ["exponential"] * 4
    assert columns["growth_rate"] == pytest.approx([math.log(0.8)] * 4)
    assert columns["log_norm"] == pytest.approx([20 * math.log(0.8)] * 4)
    assert columns["block"] == ["state", "state", "hidden", "hidden"]
    assert columns["sequence"] == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("weight", "kind", "horizon"),
    [(0.98, "extrapolated", 1 / -math.log(0.98)), (1.0, "no fall", math.inf)],
)
def test_beyond_the_sequence_it_is_censored(weight, kind, horizon):
    trace = trace_of("rnn")
    cell = trace.cell.layers[0]
    cell.activation = "identity"
    cell.weight_hh.data = weight * torch.eye(5, dtype=torch.float64)
    columns = measured("memory_horizon", trace)
    assert columns["kind"] == [kind] * 2
    assert columns["censored"] == [True] * 2
    assert columns["horizon"] == pytest.approx([horizon] * 2)
    assert columns["horizon_high"] == pytest.approx([horizon] * 2, rel=1e-4)


def test_a_single_step_has_none():
    assert measured("memory_horizon", trace_of().steps(0, 1)) == {}
