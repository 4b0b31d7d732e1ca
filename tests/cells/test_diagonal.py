"""Complex diagonal recurrences, in complex numbers."""

import pytest
import torch

from gradscope.cells.lru import LRU
from gradscope.dynamics import jacobian_product, unroll
from tests.conftest import build, draw


@pytest.mark.parametrize("name", ["lru", "diagonal_ssm"])
def test_complex_recurrence_in_complex_numbers(name):
    cell = build(name, 3, 5)
    x = draw(20, 2, 3)
    states = cell.unroll(x, torch.zeros(2, 15, dtype=torch.float64))
    a, b, scale = (part.detach() for part in cell.eigenvalues())
    eigenvalue, z = torch.complex(a, b), torch.zeros(2, 5, dtype=torch.complex128)
    weight_b = torch.complex(*cell.weight_b.detach().chunk(2))
    c_re, c_im = cell.weight_c.detach().chunk(2, dim=-1)
    for t in range(20):
        z = eigenvalue * z + scale * (x[t].to(torch.complex128) @ weight_b.T)
        u = (z @ torch.complex(c_re, -c_im).T).real + x[t] @ cell.weight_d.detach().T
        torch.testing.assert_close(states[t + 1, :, 5:10], z.real)
        torch.testing.assert_close(states[t + 1, :, 10:], z.imag)
        torch.testing.assert_close(states[t + 1, :, :5], torch.nn.functional.gelu(u))


@pytest.mark.parametrize("name", ["lru", "diagonal_ssm"])
def test_modulus_is_below_one_whatever_the_parameters(name):
    cell = build(name, 3, 5)
    for parameter in cell.parameters():
        parameter.data = 3 * draw(*parameter.shape, seed=parameter.numel())
    a, b, _ = cell.eigenvalues()
    modulus = (a * a + b * b).sqrt()
    assert (modulus < 1).all()
    product = jacobian_product(unroll(cell, draw(50, 1, 3)), 50, 0)
    values = torch.linalg.svdvals(product.matrix()[0, 5:, 5:])
    expected = (50 * modulus.log()).exp().repeat_interleave(2).sort(descending=True).values
    torch.testing.assert_close(values, expected.detach(), rtol=1e-6, atol=1e-12)


def test_weights_have_the_variance_that_keeps_order_one():
    generator = torch.Generator().manual_seed(0)
    cell = LRU(50, hidden_size=100, generator=generator)
    for weight, variance in (
        (cell.weight_b, 1 / 100),
        (cell.weight_c, 1 / 100),
        (cell.weight_d, 1 / 50),
    ):
        assert float(weight.detach().var()) == pytest.approx(variance, rel=0.06)


def test_no_later_step_reads_the_output():
    cell = build("lru")
    x, s = draw(5, 3), draw(5, 12, seed=1)
    changed = s.clone()
    changed[:, :4] += 3
    assert torch.equal(cell(x, s), cell(x, changed))
    assert (cell.jacobian(x, s, cell(x, s))[..., :4] == 0).all()
