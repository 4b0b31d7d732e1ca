"""minGRU and minLSTM: they remember by their gates alone."""

import pytest
import torch

from gradscope.dynamics import jacobian_product, unroll
from tests.conftest import build, draw


@pytest.mark.parametrize("name", ["mingru", "minlstm"])
def test_what_is_kept_is_the_product_of_the_gates(name):
    cell = build(name)
    trace = unroll(cell, draw(12, 2, 3))
    gates = {
        k: g.activation(g.preactivation)
        for k, g in cell.gates(trace.inputs, trace.states[:-1]).items()
    }
    keep = 1 - gates["z"] if name == "mingru" else gates["f"] / (gates["f"] + gates["i"])
    expected = torch.diag_embed(keep[2:].prod(0))
    torch.testing.assert_close(jacobian_product(trace, 12, 2).matrix(), expected)


@pytest.mark.parametrize("name", ["mingru", "minlstm"])
def test_gates_see_the_input_alone(name):
    cell, x, s = build(name), draw(5, 3), draw(5, 4, seed=1)
    for gate, other in zip(cell.gates(x, s).values(), cell.gates(x, 9 * s).values(), strict=True):
        assert torch.equal(gate.preactivation, other.preactivation)


def test_the_equations():
    x, s = draw(5, 3), draw(5, 4, seed=1)
    gru, lstm = build("mingru"), build("minlstm")
    u_z, n = (x @ gru.weight_ih.T + gru.bias_ih).chunk(2, dim=-1)
    z = torch.sigmoid(u_z)
    torch.testing.assert_close(gru(x, s), (1 - z) * s + z * n)
    u_f, u_i, g = (x @ lstm.weight_ih.T + lstm.bias_ih).chunk(3, dim=-1)
    f, i = torch.sigmoid(u_f), torch.sigmoid(u_i)
    torch.testing.assert_close(lstm(x, s), f / (f + i) * s + i / (f + i) * g)


def test_shares_of_gates_that_are_both_shut_are_still_shares():
    """f / (f + i) of gates far below what a float32 holds."""
    cell = build("minlstm").float()
    cell.weight_ih.data.zero_()
    cell.bias_ih.data = torch.tensor([-200.0] * 4 + [-201.0] * 4 + [1.0] * 4)
    kept = cell(torch.zeros(1, 3), torch.full((1, 4), 3.0)) - 1
    torch.testing.assert_close(kept / 2, torch.full((1, 4), 1.0).sigmoid())
