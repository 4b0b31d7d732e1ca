"""Columns carried by matrices and by products: the same, at any size."""

import math

import pytest
import torch

from gradscope.dynamics.carriers import MatrixCarrier, ProductCarrier, carried
from gradscope.dynamics.support import Support
from gradscope.errors import GradscopeError
from tests.conftest import draw


def by_products(jacobian):
    """A carrier that knows a matrix by its products alone."""
    return ProductCarrier(lambda v: (jacobian @ v.unsqueeze(-1)).squeeze(-1), jacobian.dtype, t=7)


@pytest.mark.parametrize("log_size", [-600.0, -69.0, 0.0, 69.0, 600.0])
def test_matrices_and_products_carry_alike(log_size):
    jacobian, columns = math.exp(log_size) * draw(2, 4, 4), draw(2, 4, 3, seed=1)
    expected, scale = MatrixCarrier(jacobian).carry(columns)
    found, found_scale = by_products(jacobian).carry(columns)
    shift = (found_scale - scale).exp()[:, None, None]
    torch.testing.assert_close(found * shift, expected)


@pytest.mark.parametrize("log_size", [-99.0, -60.0, 60.0, 99.0])
def test_float32_products_keep_what_they_would_lose(log_size):
    """Columns far from 1 are brought there first, and images too small or large are taken again."""
    jacobian = (torch.eye(3) * 2).expand(2, 3, 3)
    columns = math.exp(log_size) * draw(2, 3, 2)
    found, scale = by_products(jacobian).carry(columns)
    torch.testing.assert_close(found * scale.exp()[:, None, None], 2 * columns, rtol=1e-6, atol=0)


def test_products_that_are_not_finite_say_where():
    with pytest.raises(GradscopeError, match="at t = 7 is not finite"):
        by_products(torch.full((1, 2, 2), math.nan).double()).carry(draw(1, 2, 1))


def test_coordinates_that_are_not_reached_bound_the_rank():
    jacobian = torch.diag(torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64))[None]
    support = Support(1, 3, torch.device("cpu"))
    carrier = by_products(jacobian)
    carrier.mark(support, carrier.carry(draw(1, 3, 2))[0])
    assert support.bound.tolist() == [1]


@pytest.mark.parametrize("factor", [1e-44, 1e-30, 1.0, 1e30, 1e38])
def test_a_vector_is_normalised_whatever_its_image(factor):
    v = torch.nn.functional.normalize(draw(2, 3).float(), dim=-1)
    unit, logs = carried(lambda v: v * factor, v)
    torch.testing.assert_close(unit, v, rtol=1e-5, atol=1e-6)
    # a subnormal factor has few digits of its own
    atol = 0.05 if factor < 1e-40 else 1e-5
    expected = torch.full((2,), math.log(factor), dtype=torch.float64)
    torch.testing.assert_close(logs, expected, rtol=0, atol=atol)


def test_zero_stays_zero():
    calls = []

    def product(v):
        calls.append(v)
        return v * 2

    unit, logs = carried(product, torch.tensor([[0.0, 0.0], [0.0, 1.0]]))
    assert unit.tolist() == [[0, 0], [0, 1]]
    assert logs.tolist() == [-math.inf, pytest.approx(math.log(2))]
    assert len(calls) == 1  # and is not taken again
