"""minGRU: it remembers by its gate alone."""

import torch

from gradscope.dynamics import jacobian_product, unroll
from tests.conftest import build, draw


def test_what_is_kept_is_the_product_of_the_gates():
    cell = build("mingru")
    trace = unroll(cell, draw(12, 2, 3))
    z = cell.gates(trace.inputs, trace.states[:-1])["z"].value
    expected = torch.diag_embed((1 - z)[2:].prod(0))
    torch.testing.assert_close(jacobian_product(trace, 12, 2).matrix(), expected)


def test_gates_see_the_input_alone():
    cell, x, s = build("mingru"), draw(5, 3), draw(5, 4, seed=1)
    for gate, other in zip(cell.gates(x, s).values(), cell.gates(x, 9 * s).values(), strict=True):
        assert torch.equal(gate.preactivation, other.preactivation)


def test_the_equation():
    cell, x, s = build("mingru"), draw(5, 3), draw(5, 4, seed=1)
    u_z, n = (x @ cell.weight_ih.T + cell.bias_ih).chunk(2, dim=-1)
    z = torch.sigmoid(u_z)
    torch.testing.assert_close(cell(x, s), (1 - z) * s + z * n)
