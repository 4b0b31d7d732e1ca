"""minLSTM: it remembers by its gates alone."""

import torch

from gradscope.dynamics import jacobian_product, unroll
from tests.conftest import build, draw


def test_what_is_kept_is_the_product_of_the_gates():
    cell = build("minlstm")
    trace = unroll(cell, draw(12, 2, 3))
    gates = cell.gates(trace.inputs, trace.states[:-1])
    f, i = gates["f"].value, gates["i"].value
    expected = torch.diag_embed((f / (f + i))[2:].prod(0))
    torch.testing.assert_close(jacobian_product(trace, 12, 2).matrix(), expected)


def test_gates_see_the_input_alone():
    cell, x, s = build("minlstm"), draw(5, 3), draw(5, 4, seed=1)
    for gate, other in zip(cell.gates(x, s).values(), cell.gates(x, 9 * s).values(), strict=True):
        assert torch.equal(gate.preactivation, other.preactivation)


def test_the_equation():
    cell, x, s = build("minlstm"), draw(5, 3), draw(5, 4, seed=1)
    u_f, u_i, g = (x @ cell.weight_ih.T + cell.bias_ih).chunk(3, dim=-1)
    f, i = torch.sigmoid(u_f), torch.sigmoid(u_i)
    torch.testing.assert_close(cell(x, s), f / (f + i) * s + i / (f + i) * g)


def test_gates_that_are_both_shut_still_share_the_state():
    """f / (f + i) of gates far below what a float32 holds."""
    cell = build("minlstm").float()
    cell.weight_ih.data.zero_()
    cell.bias_ih.data = torch.tensor([-200.0] * 4 + [-201.0] * 4 + [1.0] * 4)
    kept = cell(torch.zeros(1, 3), torch.full((1, 4), 3.0)) - 1
    torch.testing.assert_close(kept / 2, torch.full((1, 4), 1.0).sigmoid())
