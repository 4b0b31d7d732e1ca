"""Matrices with a log scale."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradscope.dynamics import Adjoints, Scaled
from gradscope.dynamics.scaled import frobenius_norm, rescaled, vector_norms
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


def test_some_of_the_matrices():
    scaled = Scaled.of(draw(3, 2, 2), -5.0)
    torch.testing.assert_close(scaled[1].matrix(), scaled.matrix()[1])
    torch.testing.assert_close(scaled[1:].matrix(), scaled.matrix()[1:])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1e-30, 1e-9, 1.0, 1e9, 1e30])
def test_rescaling_leaves_the_product_as_it_is(size, dtype):
    matrices = (size * draw(2, 3, 3)).to(dtype)
    before = torch.linalg.matrix_norm(matrices.double()).log()
    found = rescaled(matrices, torch.full((2,), 7.0, dtype=torch.float64))
    torch.testing.assert_close(found.log_frobenius_norm(), before + 7, rtol=0, atol=1e-5)
    norms = torch.linalg.matrix_norm(found.mantissa.double())
    assert ((norms > 1e-7) & (norms < 1e7)).all()
    assert found.mantissa.data_ptr() == matrices.data_ptr(), "in place"


def test_rescaling_touches_only_what_has_drifted():
    matrices = torch.stack((draw(2, 2), 1e-20 * draw(2, 2, seed=1), torch.zeros(2, 2).double()))
    untouched = matrices[[0, 2]].clone()
    found = rescaled(matrices, torch.zeros(3, dtype=torch.float64))
    assert torch.equal(found.mantissa[[0, 2]], untouched)
    assert found.log_scale[0] == found.log_scale[2] == 0
    assert found.log_scale[1] < -40


@pytest.mark.parametrize("exponent", [-42, -30, -20, -10, 0, 10, 18, 20, 30, 37])
def test_norms_whose_squares_a_float32_cannot_hold(exponent):
    x = (draw(4, 5, 6) * 10.0**exponent).float()
    torch.testing.assert_close(
        vector_norms(x), torch.linalg.vector_norm(x.double(), dim=-1), rtol=1e-6, atol=0
    )
    torch.testing.assert_close(
        frobenius_norm(x), torch.linalg.matrix_norm(x.double()), rtol=1e-6, atol=0
    )


# --- adjoints -------------------------------------------------------------------------------------


def test_adjoints_carry_the_scale():
    mantissa, scale = draw(4, 2, 3), 100 * draw(4, 2, seed=1)
    found = Adjoints(mantissa, scale)
    torch.testing.assert_close(found.values(), mantissa * scale.exp()[..., None])
    torch.testing.assert_close(found.log_norms(), mantissa.norm(dim=-1).log() + scale)
    torch.testing.assert_close(
        found.log_norms(slice(1, 3)), mantissa[..., 1:].norm(dim=-1).log() + scale
    )
    largest = scale.amax(1)
    joined = mantissa * (scale - largest[:, None]).exp()[..., None]
    torch.testing.assert_close(found.log_norm(), joined.flatten(1).norm(dim=-1).log() + largest)
    assert (Adjoints(mantissa).log_scale == 0).all()
    assert repr(found) == "Adjoints(4 steps, 2 sequences, vectors of 3)"


def test_adjoints_below_the_float_range_have_a_norm():
    found = Adjoints(torch.ones(1, 1, 4), torch.tensor([[-5000.0]], dtype=torch.float64))
    assert (found.values() == 0).all()
    assert float(found.log_norms()) == pytest.approx(-5000 + math.log(2))


@pytest.mark.parametrize("scales", [(0.0, 0.0), (3.0, -2.0), (-900.0, -903.0), (800.0, 799.0)])
def test_sum_of_adjoints(scales):
    a, b = draw(3, 2, 4), draw(3, 2, 4, seed=1)
    first, second = (
        Adjoints(part, torch.full((3, 2), scale, dtype=torch.float64))
        for part, scale in zip((a, b), scales, strict=True)
    )
    expected = (a + b * math.exp(scales[1] - scales[0])).norm(dim=-1).log() + scales[0]
    torch.testing.assert_close((first + second).log_norms(), expected)


def test_sum_of_adjoints_that_are_far_apart_or_zero():
    a, zero = Adjoints(draw(3, 2, 4)), Adjoints(torch.zeros(3, 2, 4, dtype=torch.float64))
    far = Adjoints(draw(3, 2, 4, seed=1), torch.full((3, 2), -2000.0, dtype=torch.float64))
    torch.testing.assert_close((a + far).values(), a.values())
    torch.testing.assert_close((a + zero).values(), a.values())
    assert ((zero + zero).log_norms() == -math.inf).all()
