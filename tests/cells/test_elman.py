"""Elman cells with any activation."""

import pytest
import torch
from torch import nn

from gradscope.dynamics import ACTIVATIONS
from gradscope.errors import GradscopeError
from tests.conftest import build, draw


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_equation_and_its_jacobian(activation):
    """h_t = phi(u), J_t = diag(phi'(u)) W_hh."""
    cell, x, s = build("rnn", activation=activation), draw(5, 3), draw(5, 4, seed=1)
    phi = ACTIVATIONS[activation]
    u = x @ cell.weight_ih.T + cell.bias_ih + s @ cell.weight_hh.T + cell.bias_hh
    torch.testing.assert_close(cell(x, s), phi(u))
    expected = phi.derivative(u, phi(u)).unsqueeze(-1) * cell.weight_hh
    torch.testing.assert_close(cell.jacobian(x, s, cell(x, s)), expected.detach())


def test_modrelu_keeps_the_sign_and_thresholds_the_modulus():
    cell = build("rnn", 3, 4, activation="modrelu")
    cell.modrelu_bias.data = torch.tensor([-0.5, 0.0, 0.3, -10.0]).double()
    x, s = draw(50, 3), draw(50, 4, seed=1)
    u = x @ cell.weight_ih.T + cell.bias_ih + s @ cell.weight_hh.T + cell.bias_hh
    h = cell(x, s)
    assert (h[:, 3] == 0).all()
    torch.testing.assert_close(h[:, 1], u[:, 1])
    torch.testing.assert_close(h[:, 2], u[:, 2] + 0.3 * torch.sign(u[:, 2]))
    torch.testing.assert_close(h[:, 0], torch.sign(u[:, 0]) * (u[:, 0].abs() - 0.5).clamp_min(0))


def test_modrelus_bias_starts_at_zero_and_is_there_for_it_alone():
    from gradscope.cells.rnn import RNN

    assert torch.equal(RNN(3, hidden_size=4, activation="modrelu").modrelu_bias, torch.zeros(4))
    assert "modrelu_bias" not in dict(RNN(3, hidden_size=4).named_parameters())


def test_torch_has_tanh_and_relu():
    assert build("rnn", activation="relu").torch_module() == (nn.RNN, {"nonlinearity": "relu"})
    with pytest.raises(GradscopeError, match="not gelu"):
        build("rnn", activation="gelu").torch_module()
