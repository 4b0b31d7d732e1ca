"""Euler steps of a stable equation."""

import torch

from gradscope.dynamics import jacobian_product, unroll
from tests.conftest import build, draw


def test_antisymmetric_steps_stay_near_the_unit_circle():
    cell = build("antisymmetric", 3, 8, step=0.01, diffusion=0.0)
    weight = cell.recurrent_weight()
    torch.testing.assert_close(weight, -weight.T)
    assert torch.linalg.eigvals(weight).real.abs().max() < 1e-12
    norms = jacobian_product(unroll(cell, 0.1 * draw(200, 1, 3)), 200, 0).log_singular_values()
    assert norms.abs().max() < 1.0


def test_the_equation_and_its_diffusion():
    cell, x, s = build("antisymmetric", step=0.3, diffusion=0.2), draw(5, 3), draw(5, 4, seed=1)
    weight = cell.weight_hh - cell.weight_hh.T - 0.2 * torch.eye(4, dtype=torch.float64)
    u = x @ cell.weight_ih.T + cell.bias_ih + s @ weight.T + cell.bias_hh
    torch.testing.assert_close(cell(x, s), s + 0.3 * torch.tanh(u))
    eigenvalues = torch.linalg.eigvals(cell.recurrent_weight())
    torch.testing.assert_close(eigenvalues.real, torch.full((4,), -0.2).double())
