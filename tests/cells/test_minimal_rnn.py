"""minimalRNN."""

import torch

from tests.conftest import build, draw


def test_the_equation():
    cell, x, s = build("minimal_rnn"), draw(5, 3), draw(5, 4, seed=1)
    z = torch.tanh(x @ cell.weight_ih.T + cell.bias_ih)
    u = torch.sigmoid(z @ cell.weight_zu.T + s @ cell.weight_hh.T + cell.bias_hh)
    torch.testing.assert_close(cell(x, s), u * s + (1 - u) * z)


def test_a_gate_that_does_not_see_the_state_is_the_jacobian():
    cell, x, s = build("minimal_rnn"), draw(5, 3), draw(5, 4, seed=1)
    cell.weight_hh.data.zero_()
    u = cell.gates(x, s)["u"].value.detach()
    torch.testing.assert_close(cell.jacobian(x, s, cell(x, s)), torch.diag_embed(u))
