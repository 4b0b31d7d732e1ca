"""Transitions: the matrices A_t of a recurrence S_t = A_t S_{t-1} + B_t, by their structure."""

import math

import pytest
import torch

from gradscope.dynamics import Transitions
from gradscope.errors import GradscopeError
from tests.conftest import draw

TIME, BATCH, HEADS, KEY = 5, 2, 3, 4
KINDS = ["scalar", "by key", "gated delta", "by key and rank 2"]


def transitions(kind, time=TIME):
    by_key = "by key" in kind
    rank = {"scalar": 0, "by key": 0, "gated delta": 1, "by key and rank 2": 2}[kind]
    decay = -draw(time, BATCH, HEADS, KEY if by_key else 1).abs()
    low, high = (draw(time, BATCH, HEADS, KEY, rank, seed=seed) / 2 for seed in (1, 2))
    return Transitions(decay, low, high)


def gated_delta(log_decay, beta, key):
    """a (I - beta k k^T)."""
    return Transitions(
        log_decay[..., None], -beta[..., None, None] * key[..., None], key[..., None]
    )


def unit(*shape, seed=0):
    return torch.nn.functional.normalize(draw(*shape, seed=seed), dim=-1)


@pytest.mark.parametrize("kind", KINDS)
def test_products_with_columns_are_those_of_the_dense_matrices(kind):
    by = transitions(kind)
    columns, dense = draw(TIME, BATCH, HEADS, KEY, 2, seed=5), by.dense()
    torch.testing.assert_close(by.mv(columns), dense @ columns)
    torch.testing.assert_close(by.transpose_mv(columns), dense.mT @ columns)
    diagonal = by.log_diagonal.exp().expand(TIME, BATCH, HEADS, KEY).diag_embed()
    scale = by.log_diagonal.amax(-1).exp()[..., None, None]
    torch.testing.assert_close(dense, diagonal + scale * by.left @ by.right.mT)


@pytest.mark.parametrize("kind", KINDS)
def test_products_over_time_are_those_of_the_dense_matrices(kind):
    by, lags = transitions(kind), [0, 1, 3, TIME]
    dense = by.dense()
    for lag, product, norm in zip(lags, by.products_back(lags), by.log_norms(lags), strict=True):
        expected = torch.eye(KEY, dtype=torch.float64).expand(BATCH, HEADS, KEY, KEY)
        for t in range(TIME - 1, TIME - 1 - lag, -1):
            expected = expected @ dense[t]
        torch.testing.assert_close(product.matrix(), expected)
        torch.testing.assert_close(norm, torch.linalg.matrix_norm(expected, 2).log())


@pytest.mark.parametrize("kind", KINDS)
def test_eigenvalue_moduli_are_those_of_the_dense_matrices(kind):
    by = transitions(kind)
    expected = torch.linalg.eigvals(by.dense()).abs().sort(dim=-1, descending=True).values
    torch.testing.assert_close(by.eigenvalue_moduli(), expected)


def test_the_gated_delta_rules_eigenvalues_are_a_and_a_times_one_less_beta_k_squared():
    log_decay = -draw(TIME, BATCH, HEADS).abs()
    beta, key = 2 * torch.rand_like(log_decay), draw(TIME, BATCH, HEADS, KEY, seed=3)
    moduli = gated_delta(log_decay, beta, key).eigenvalue_moduli()
    along = log_decay.exp() * (1 - beta * key.square().sum(-1)).abs()
    rest = log_decay.exp()[..., None].expand(*log_decay.shape, KEY - 1)
    expected = torch.cat((rest, along[..., None]), -1).sort(dim=-1, descending=True).values
    torch.testing.assert_close(moduli, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_decays_add_up_by_their_logarithms_far_below_the_range_of_floats(dtype):
    decay = torch.full((300, 1, 1, 1), -30.0, dtype=dtype)
    scalar = Transitions.diagonal_of(decay, KEY)
    assert float(scalar.log_norms([300])) == -9000
    assert float(scalar.products_back([300])[0].log_spectral_norm()) == pytest.approx(-9000)
    one_step = Transitions.diagonal_of(torch.full((1, 1, 1, 1), -900.0, dtype=dtype), KEY)
    assert float(one_step.log_norms([1])) == -900
    low = draw(1, 1, 1, KEY, 1).to(dtype)
    with_rank = Transitions(one_step.log_diagonal, 0 * low, low)
    assert float(with_rank.log_norms([1])) == pytest.approx(-900)


def test_decays_that_take_turns_are_small_in_all_keys():
    """Every key is gone once, at another step: no entry of a float would be left."""
    decay = torch.zeros(2, 1, 1, 2, dtype=torch.float64)
    decay[0, ..., 0] = decay[1, ..., 1] = -1000
    assert float(Transitions.diagonal_of(decay, 2).log_norms([2])) == -1000


def test_exact_zeros_stay():
    decay = torch.zeros(3, 1, 1, 1, dtype=torch.float64)
    decay[1] = -torch.inf
    for rank in (0, 1):
        low = torch.zeros(3, 1, 1, KEY, rank, dtype=torch.float64)
        norms = Transitions(decay, low, low).log_norms([0, 1, 2, 3])
        assert norms.flatten().tolist() == [0, 0, -math.inf, -math.inf]


def test_householder_products_are_orthogonal():
    key = unit(50, BATCH, HEADS, KEY)
    steps = torch.zeros(50, BATCH, HEADS, dtype=torch.float64)
    by = gated_delta(steps, steps + 2, key)
    norms = by.log_norms([0, 1, 10, 50])
    torch.testing.assert_close(norms, torch.zeros_like(norms))
    product = by.products_back([50])[0].matrix()
    eye = torch.eye(KEY, dtype=torch.float64).expand_as(product)
    torch.testing.assert_close(product @ product.mT, eye)


def test_two_updates_within_a_step_are_one():
    log_decay, beta = -draw(TIME, BATCH, HEADS).abs(), torch.rand(TIME, BATCH, HEADS).double()
    first = transitions("by key and rank 2")
    second = gated_delta(log_decay, beta, unit(TIME, BATCH, HEADS, KEY))
    third = gated_delta(0 * log_decay, beta, unit(TIME, BATCH, HEADS, KEY, seed=1))
    both = third.after(second.after(first))
    assert both.rank == 4
    torch.testing.assert_close(both.dense(), third.dense() @ second.dense() @ first.dense())
    with pytest.raises(GradscopeError, match="one decay for all keys"):
        first.after(second)


def test_two_updates_of_which_one_keeps_nothing():
    first, gone = transitions("gated delta"), transitions("gated delta")
    gone.log_diagonal[:] = -torch.inf
    torch.testing.assert_close(gone.after(first).dense(), gone.dense() @ first.dense())
    torch.testing.assert_close(first.after(gone).dense(), first.dense() @ gone.dense())


def test_some_of_the_steps():
    by = transitions("gated delta")
    torch.testing.assert_close(by[1:3].dense(), by.dense()[1:3])
    torch.testing.assert_close(by[:, :1].dense(), by.dense()[:, :1])
    assert (by.heads, by.key, by.rank, by.is_scalar) == (HEADS, KEY, 1, True)
