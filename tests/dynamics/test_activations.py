"""Every activation's derivative, and the supremum of its slope."""

import pytest
import torch

from gradscope.dynamics.activations import ACTIVATIONS, Gate, modrelu
from tests.conftest import draw


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivative_is_autograds(name):
    activation = ACTIVATIONS[name]
    u = torch.cat(
        (
            torch.linspace(-6, 6, 241, dtype=torch.float64) + 1e-3,
            torch.zeros(1, dtype=torch.float64),
        )
    )
    if name in ("elu", "selu", "leaky_relu", "softsign"):
        u = u[:-1]  # at 0 the one-sided derivatives differ, or torch's abs has its own convention
    u.requires_grad_()
    y = activation(u)
    (slope,) = torch.autograd.grad(y.sum(), u)
    torch.testing.assert_close(
        activation.derivative(u.detach(), y.detach()), slope, rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_largest_slope(name):
    activation = ACTIVATIONS[name]
    u = torch.linspace(-14, 14, 280_001, dtype=torch.float64)
    largest = activation.derivative(u, activation(u)).abs().max()
    assert largest <= activation.max_slope + 1e-9
    assert largest >= activation.max_slope - 1e-4


def test_relu_has_no_slope_at_zero():
    zero = torch.zeros(1)
    assert ACTIVATIONS["relu"].derivative(zero, zero) == 0


def test_modrelus_derivative_is_autograds():
    activation = modrelu(torch.tensor([-0.5, 0.0, 0.3], dtype=torch.float64))
    u = (2 * draw(200, 3)).requires_grad_()
    y = activation(u)
    (slope,) = torch.autograd.grad(y.sum(), u)
    torch.testing.assert_close(activation.derivative(u.detach(), y.detach()), slope)
    assert slope.max() == activation.max_slope


def test_a_gates_value_is_phi_of_its_preactivation():
    u = draw(4, 3)
    assert torch.equal(Gate(ACTIVATIONS["sigmoid"], u).value, torch.sigmoid(u))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_what_is_said_of_the_ends(name):
    """Saturating ones are flat at both ends; rectifying ones are zero, slope too, below 0."""
    activation = ACTIVATIONS[name]
    ends = torch.tensor([-1e4, 1e4], dtype=torch.float64)
    flat = activation.derivative(ends, activation(ends)).abs() < 1e-6
    assert bool(flat.all()) == activation.saturates
    below = -torch.rand(50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = activation(below)
    silent = (y == 0).all() and (activation.derivative(below, y) == 0).all()
    assert bool(silent) == activation.rectifies
