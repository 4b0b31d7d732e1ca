"""How many units are saturated."""

import pytest
import torch

from tests.probes._draw import measured, rows_of, trace_of


def test_gates_pushed_to_their_ends_are_saturated():
    trace = trace_of("lstm")
    cell = trace.cell.layers[0]
    for parameter in cell.parameters():
        parameter.data.zero_()
    cell.bias_ih.data = torch.tensor([30.0, -30.0, 0.0, 0.0]).double().repeat_interleave(5)
    rows = {row["gate"]: row for row in rows_of(measured("saturation", trace))}
    assert (rows["i"]["low"], rows["i"]["high"]) == (0, 1)
    assert (rows["f"]["low"], rows["f"]["high"]) == (1, 0)
    assert (rows["g"]["low"], rows["g"]["high"]) == (0, 0)
    assert rows["i"]["mean"] == pytest.approx(1)
    assert rows["o"]["mean"] == pytest.approx(0.5)
