"""QR decompositions that say what stands above rounding."""

import math

import mpmath
import pytest
import torch

from gradscope.dynamics.orthonormal import orthonormalised
from tests.conftest import draw

DTYPES = [torch.float64, torch.float32]


def rotated(matrix, seed=1):
    """Times a random orthogonal matrix, so that no column is special."""
    return matrix.double() @ torch.linalg.qr(draw(*matrix.shape, seed=seed))[0]


def rank_of(decomposed):
    return decomposed.known.long().cumprod(-1).sum(-1)


def test_it_is_a_qr_decomposition():
    a = draw(4, 7, 5)
    decomposed = orthonormalised(a)
    torch.testing.assert_close(decomposed.q @ decomposed.r, a)
    torch.testing.assert_close(
        decomposed.q.mT @ decomposed.q, torch.eye(5, dtype=a.dtype).expand(4, 5, 5)
    )
    assert torch.equal(decomposed.r, decomposed.r.triu())
    torch.testing.assert_close(
        decomposed.log_diagonal, decomposed.r.diagonal(dim1=-2, dim2=-1).abs().log()
    )
    assert decomposed.known.all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [2, 5, 16, 64])
@pytest.mark.parametrize("lost", [1, 2, 10])
def test_dependent_columns_are_not_known(dtype, size, lost):
    rank = max(1, size - lost)
    a = draw(50, size, rank).to(dtype) @ draw(50, rank, size, seed=2).to(dtype)
    assert (rank_of(orthonormalised(rotated(a), dtype)) == rank).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 2, 5, 16, 64])
def test_random_columns_are_known(dtype, size):
    a = draw(100, size, size).to(dtype)
    assert orthonormalised(rotated(a), dtype).known.all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_of_any_size_are_known_and_right(dtype):
    """Against 120 digits: sigma(u)' of saturated units makes such rows."""
    rows = torch.exp(torch.linspace(0, -80, 8, dtype=dtype))
    rows = rows[torch.randperm(8, generator=torch.Generator().manual_seed(0))]
    a = rotated((rows[:, None] * draw(8, 8).to(dtype))[None])
    decomposed = orthonormalised(a, dtype)
    assert decomposed.known.all()
    with mpmath.workdps(120):
        _, r = mpmath.qr(mpmath.matrix(a[0].tolist()))
        exact = [float(mpmath.log(abs(r[i, i]))) for i in range(8)]
    assert decomposed.log_diagonal[0].tolist() == pytest.approx(exact, abs=1e-10)


def test_what_was_singular_by_hand():
    exact = torch.tensor([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]], dtype=torch.float64)[None]
    assert rank_of(orthonormalised(exact)).tolist() == [2]
    nothing = orthonormalised(torch.zeros(1, 3, 3, dtype=torch.float64))
    assert not nothing.known.any()
    assert (nothing.log_diagonal == -math.inf).all()


def test_a_known_column_may_follow_an_unknown_one_only_in_the_list():
    """Sequences are judged each by itself."""
    a = draw(2, 4, 4)
    a[0, :, 1] = a[0, :, 0]
    known = orthonormalised(a).known
    assert not known[0, 1]
    assert known[1].all()
