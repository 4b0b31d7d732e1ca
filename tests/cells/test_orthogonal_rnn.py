"""The recurrent matrix that stays orthogonal."""

import torch

from gradscope.cells.orthogonal_rnn import OrthogonalRNN
from gradscope.dynamics import jacobian_product, unroll
from tests.conftest import build, draw


def test_orthogonal_stays_orthogonal_and_keeps_norms():
    cell = build("orthogonal_rnn", 3, 6, activation="identity")
    weight = cell.recurrent_weight()
    torch.testing.assert_close(weight @ weight.T, torch.eye(6, dtype=torch.float64))
    product = jacobian_product(unroll(cell, draw(300, 1, 3)), 300, 0)
    torch.testing.assert_close(
        product.log_singular_values(), torch.zeros(1, 6, dtype=torch.float64), rtol=0, atol=1e-9
    )
    cell.weight_hh.data -= (
        0.3
        * torch.autograd.grad(cell.scan(draw(5, 2, 3), draw(2, 6)).square().sum(), cell.weight_hh)[
            0
        ]
    )
    weight = cell.recurrent_weight()
    torch.testing.assert_close(weight @ weight.T, torch.eye(6, dtype=torch.float64))


def test_it_starts_as_rotations_of_pairs():
    cell = OrthogonalRNN(3, hidden_size=6, dtype=torch.float64)
    weight = cell.recurrent_weight().detach()
    for pair in range(3):
        block = weight[2 * pair : 2 * pair + 2, 2 * pair : 2 * pair + 2]
        angle = torch.atan2(block[1, 0], block[0, 0])
        rotation = torch.stack((angle.cos(), -angle.sin(), angle.sin(), angle.cos())).view(2, 2)
        torch.testing.assert_close(block, rotation)
        weight[2 * pair : 2 * pair + 2, 2 * pair : 2 * pair + 2] = 0
    assert weight.abs().max() < 1e-12
