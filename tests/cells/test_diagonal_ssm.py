"""The diagonal state space model."""

import math

import pytest
import torch

from gradscope.cells.diagonal_ssm import DiagonalSSM
from gradscope.errors import GradscopeError
from tests.conftest import build


def test_lambda_is_the_exact_step_of_its_equation():
    """lambda = exp(delta A), and the factor of B x_t the modulus of (lambda - 1) / A."""
    cell = build("diagonal_ssm", 3, 6)
    a = torch.complex(-cell.log_decay.exp(), cell.frequency).detach()
    exact = (cell.log_step.exp() * a).exp().detach()
    real, imaginary, factor = (part.detach() for part in cell.eigenvalues())
    torch.testing.assert_close(torch.complex(real, imaginary), exact)
    torch.testing.assert_close(factor, ((exact - 1) / a).abs())


def test_it_starts_as_s4d_lin():
    generator = torch.Generator().manual_seed(0)
    cell = DiagonalSSM(3, hidden_size=2000, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(cell.log_decay.exp(), torch.full((2000,), 0.5).double())
    torch.testing.assert_close(cell.frequency, math.pi * torch.arange(2000, dtype=torch.float64))
    steps = cell.log_step.detach()
    assert steps.min() >= math.log(1e-3)
    assert steps.max() <= math.log(1e-1)
    assert float(steps.mean()) == pytest.approx(math.log(1e-2), abs=0.1)
    with pytest.raises(GradscopeError, match="shortest should be below longest"):
        DiagonalSSM(3, hidden_size=3, shortest=0.1, longest=0.1)
