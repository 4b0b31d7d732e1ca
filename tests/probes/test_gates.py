"""The gates along one sequence."""

import pytest
import torch

from tests.dynamics.conftest import masked_trace
from tests.probes._draw import measured, rows_of, trace_of


def test_values_are_those_of_the_equation():
    trace = trace_of("gru")
    cell = trace.cell.layers[0]
    rows = rows_of(measured({"name": "gates", "units": 2, "sequence": 3}, trace))
    assert {row["unit"] for row in rows} == {0, 1}
    assert {row["t"] for row in rows} == set(range(1, 21))
    x, h = trace.inputs[:, 3], trace.states.detach()[:-1, 3]
    u = x @ cell.weight_ih.mT + cell.bias_ih + h @ cell.weight_hh.mT + cell.bias_hh
    expected = dict(zip(("r", "z"), torch.sigmoid(u).split(5, dim=-1)[:2], strict=True))
    checked = [row for row in rows if row["gate"] in expected]
    assert len(checked) == 2 * 2 * 20
    for row in checked:
        value = float(expected[row["gate"]][row["t"] - 1, row["unit"]].detach())
        assert row["value"] == pytest.approx(value, abs=1e-12)


def test_a_sequence_beyond_the_batch_is_its_last_one():
    trace = trace_of("gru")
    spec = {"name": "gates", "sequence": 99}
    assert measured(spec, trace) == measured({**spec, "sequence": 3}, trace)


def test_steps_that_the_sequence_does_not_take_are_left_out():
    columns = measured({"name": "gates", "units": 1, "sequence": 1}, masked_trace("gru"))
    assert set(columns["t"]) == {4, 5, 6, 7}
    assert len(columns["t"]) == 4 * len(set(columns["gate"]))


def test_symbols_are_those_that_are_read():
    trace = trace_of("gru", task="long_agreement")
    for row in rows_of(measured({"name": "gates", "units": 1}, trace)):
        assert row["symbol"] == trace.text[0][row["t"] - 1]
