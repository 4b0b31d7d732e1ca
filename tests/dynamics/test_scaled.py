"""Matrices with a log scale."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from gradscope import Scaled
from tests.conftest import draw


@given(st.integers(1, 5), st.integers(1, 5), st.floats(-2000, 2000), st.integers(0, 20))
def test_norms_carry_the_scale(rows, columns, scale, seed):
    m = draw(2, rows, columns, seed=seed)
    scaled = Scaled.of(m, scale)
    torch.testing.assert_close(
        scaled.log_frobenius_norm(), torch.linalg.matrix_norm(m).log() + scale
    )
    torch.testing.assert_close(
        scaled.log_spectral_norm(), torch.linalg.matrix_norm(m, 2).log() + scale
    )
    torch.testing.assert_close(scaled.log_singular_values()[:, 0], scaled.log_spectral_norm())
    assert (scaled.mantissa.abs().amax((-2, -1)) == 1).all()


def test_product_adds_scales():
    a, b = Scaled.of(draw(3, 3), -900.0), Scaled.of(draw(3, 3, seed=1), 950.0)
    torch.testing.assert_close((a @ b).matrix(), draw(3, 3) @ draw(3, 3, seed=1) * math.exp(50))


def test_zero_is_minus_infinity_and_stays_so():
    zero = Scaled.of(torch.zeros(2, 2))
    for value in (zero, zero @ Scaled.of(torch.ones(2, 2), 1e4)):
        assert value.log_spectral_norm() == -math.inf
        assert value.log_frobenius_norm() == -math.inf
        assert (value.log_singular_values() == -math.inf).all()
        assert (value.matrix() == 0).all()


def test_singular_values_lost_to_rounding_are_not_reported():
    m = torch.diag(torch.tensor([1.0, 1e-3, 1e-12]))
    values = Scaled.of(m.float()).log_singular_values()
    torch.testing.assert_close(
        values[:2], torch.tensor([0.0, math.log(1e-3)], dtype=torch.float64), rtol=1e-5, atol=1e-6
    )
    assert values[2].isnan()
