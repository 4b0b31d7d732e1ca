"""Every activation's derivative, and the supremum of its slope."""

import pytest
import torch

from gradscope.dynamics.activations import ACTIVATIONS


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
