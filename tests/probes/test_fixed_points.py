"""Fixed points of the cell under the mean input."""

import math

import pytest
import torch

from tests.probes._draw import measured, trace_of


def test_the_fixed_point_of_a_linear_contraction():
    """s = W s + b has one fixed point, which every start finds; its eigenvalues are W's."""
    trace = trace_of("rnn")
    cell = trace.cell.layers[0]
    cell.activation = "identity"
    cell.weight_hh.data = torch.diag(torch.tensor([0.9, 0.5, -0.3, 0.1, 0.0])).double()
    columns = measured({"name": "fixed_points", "starts": 10}, trace)
    assert columns["index"] == range(1)
    assert columns["visits"] == [1.0]
    assert columns["spectral_radius"] == [pytest.approx(0.9)]
    assert columns["time_constant"] == [pytest.approx(-1 / math.log(0.9))]
    assert columns["stable"] == [True]


def test_no_rows_where_there_is_no_fixed_point():
    """s = s + b never settles."""
    trace = trace_of("rnn")
    cell = trace.cell.layers[0]
    cell.activation = "identity"
    cell.weight_hh.data = torch.eye(5, dtype=torch.float64)
    cell.bias_ih.data.fill_(1.0)
    assert measured("fixed_points", trace) == {}
