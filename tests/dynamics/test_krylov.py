"""Lanczos claims what has converged, and that is right."""

import numpy as np
import pytest
import torch

from gradscope.dynamics.krylov import log_top_singular_value
from tests.conftest import draw


@pytest.mark.parametrize(
    "values",
    [
        np.geomspace(1, 1e-12, 40),
        np.linspace(1, 0.9, 40),
        np.ones(40),
        np.r_[1, 1 - 1e-6, np.full(38, 0.5)],
        np.r_[1.0, np.zeros(39)],
        np.zeros(40),
    ],
    ids=["graded", "crowded", "isometry", "pair", "rank 1", "zero"],
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_lanczos_claims_only_what_it_has(values, dtype):
    u, v = (torch.linalg.qr(draw(40, 40, seed=seed))[0] for seed in (1, 2))
    x = (u * torch.as_tensor(values)).to(dtype)[None, None]
    found, sure = log_top_singular_value(x, v.T.to(dtype)[None, None])
    if sure.all():
        expected = torch.linalg.svdvals(x.double() @ v.T)[..., 0].log().flatten()
        torch.testing.assert_close(
            found.flatten(), expected, rtol=0, atol=1e-6 if dtype == torch.float32 else 1e-12
        )
    assert sure.all() or values[1] > 0.9, "a graded spectrum converges"


@pytest.mark.parametrize("sequences", [1, 3])
def test_every_pair_of_factors(sequences):
    """sigma_max(X_t Y_k) for all t and k at once, of matrices that are not square too."""
    decay = torch.linspace(0, -3, 30, dtype=torch.float64).exp()
    x = draw(4, sequences, 40, 30) * decay
    y = draw(5, sequences, 30, 35, seed=1)
    log_values, sure = log_top_singular_value(x, y)
    assert log_values.shape == sure.shape == (4, 5, sequences)
    assert sure.all()
    expected = torch.linalg.matrix_norm(x[:, None] @ y[None], 2).log()
    torch.testing.assert_close(log_values, expected, rtol=0, atol=1e-12)


def test_small_matrices_are_left_to_an_eigensolver():
    _, sure = log_top_singular_value(draw(2, 1, 20, 20), draw(3, 1, 20, 20))
    assert sure.shape == (2, 3, 1)
    assert not sure.any()


def test_no_pair_disturbs_another():
    """What a pair converges to does not depend on which others are in the batch."""
    x, y = draw(3, 2, 30, 30) / 5, draw(2, 2, 30, 30, seed=1) / 5
    x[1] = 0
    together, _ = log_top_singular_value(x, y)
    alone, sure = log_top_singular_value(x[2:], y[1:])
    torch.testing.assert_close(together[2:, 1:][sure], alone[sure], rtol=0, atol=1e-12)
    assert (together[1] == -torch.inf).all()
