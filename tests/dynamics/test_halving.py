"""Norms of all pairs by halving, against the products one by one, also where digits may be lost."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradscope.dynamics import jacobian_log_norms, step_jacobians, unroll
from gradscope.dynamics.halving import Points
from gradscope.errors import GradscopeError
from tests.conftest import build, draw

TOLERANCE = {torch.float64: 1e-11, torch.float32: 2e-5}


def one_by_one(jacobians, norm, part=None):
    """ln of every pair's norm, from float64 products that are rescaled at every step."""
    time, batch = jacobians.shape[:2]
    table = torch.full((time + 1, time + 1, batch), torch.nan, dtype=torch.float64)
    for t in range(time + 1):
        product, scale = (
            torch.eye(jacobians.shape[-1], dtype=torch.float64).expand(batch, -1, -1),
            torch.zeros(batch),
        )
        for k in range(t, -1, -1):
            if k < t:
                product = product @ jacobians[k].double()
                size = torch.linalg.matrix_norm(product)
                safe = torch.where(size > 0, size, 1.0)
                product, scale = product / safe[:, None, None], scale + safe.log()
            shown = product if part is None else product[:, part][:, :, part]
            table[t, k] = (
                torch.linalg.matrix_norm(shown, 2 if norm == "spectral" else "fro").log() + scale
            )
    return table


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("norm", ["spectral", "frobenius"])
@pytest.mark.parametrize(("cell", "hidden"), [("rnn", 6), ("rnn", 40), ("lstm", 16), ("gru", 30)])
def test_all_pairs(cell, hidden, norm, dtype):
    trace = unroll(build(cell, 2, hidden).to(dtype), draw(45, 2, 2).to(dtype))
    expected = one_by_one(step_jacobians(trace), norm)
    found = jacobian_log_norms(trace, norm=norm)
    torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE[dtype], equal_nan=True)


@pytest.mark.parametrize("norm", ["spectral", "frobenius"])
def test_a_block_of_the_product(norm):
    trace = unroll(build("lstm", 2, 30), draw(40, 2, 2))
    for name, part in (("h", slice(0, 30)), ("c", slice(30, 60))):
        expected = one_by_one(step_jacobians(trace), norm, part)
        torch.testing.assert_close(
            jacobian_log_norms(trace, norm=norm, block=name),
            expected,
            rtol=0,
            atol=1e-10,
            equal_nan=True,
        )


@pytest.mark.parametrize("norm", ["spectral", "frobenius"])
@given(
    st.sets(
        st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda p: (max(p), min(p))),
        min_size=1,
        max_size=300,
    )
)
def test_any_pairs_and_only_those(norm, pairs):
    jacobians = draw(60, 1, 4, 4, seed=3) / 2
    found = jacobian_log_norms(jacobians, norm=norm, pairs=sorted(pairs))
    whole = jacobian_log_norms(jacobians, norm=norm)
    asked = torch.zeros(61, 61, dtype=torch.bool)
    asked[tuple(torch.tensor(sorted(pairs)).T)] = True
    torch.testing.assert_close(found[asked], whole[asked], rtol=0, atol=1e-10)
    assert found[~asked].isnan().all()


@pytest.mark.parametrize("norm", ["spectral", "frobenius"])
def test_a_small_budget_changes_nothing(norm):
    jacobians = draw(70, 3, 5, 5, seed=1) / 2
    whole = jacobian_log_norms(jacobians, norm=norm)
    for budget in (
        2 * 4 * 25 * 24,
        40 * 25 * 24,
    ):  # a few products at a time; tiles of the larger rectangles
        tight = jacobian_log_norms(jacobians, norm=norm, memory_budget=budget)
        torch.testing.assert_close(tight, whole, rtol=0, atol=1e-11, equal_nan=True)


@pytest.mark.parametrize("norm", ["spectral", "frobenius"])
def test_exact_zeros_stay_exact(norm):
    """A nilpotent shift by halves: a^lag below the number of units, and -inf from there, where X
    and Y themselves are not 0.
    """
    a, n = 0.5, 30
    shift = a * torch.diag(torch.ones(n - 1, dtype=torch.float64), -1)
    table = jacobian_log_norms(shift.expand(64, 1, n, n), norm=norm)
    for t in range(65):
        for k in range(t):
            lag = t - k
            count = 1 if norm == "spectral" else math.sqrt(n - lag) if lag < n else 0
            expected = lag * math.log(a) + math.log(count) if lag < n else -math.inf
            assert table[t, k, 0] == expected or abs(table[t, k, 0] - expected) < 1e-12


@pytest.mark.parametrize("norm", ["spectral", "frobenius"])
def test_products_of_large_factors_that_nearly_cancel(norm):
    """X Y far smaller than X and Y: an inner product of Gram matrices alone would lose it in
    rounding.
    """
    q = torch.linalg.qr(draw(30, 30))[0]
    half = torch.tensor([3.0] * 15 + [0.01] * 15, dtype=torch.float64)
    grow, shrink = (q @ torch.diag(values) @ q.T for values in (half, half.flip(0)))
    jacobians = torch.stack(
        [shrink, shrink, *[torch.eye(30, dtype=torch.float64)] * 36, grow, grow]
    )[:, None]
    found = jacobian_log_norms(jacobians, norm=norm)[40, 0, 0]
    assert abs(found - math.log(9e-4) - (0.5 * math.log(30) if norm == "frobenius" else 0)) < 1e-10


def test_points_of_pairs():
    points = Points.of([(7, 2), (9, 2), (9, 9)], 9)
    assert points.at == [2, 7, 9]
    assert points.wanted.nonzero().tolist() == [[1, 0], [2, 0], [2, 2]]
    assert points.sweep_cost == 1 + 2, "from 7 and from 9 down to 2, over the points between"
    every = Points.all(4)
    assert every.at == [0, 1, 2, 3, 4]
    assert int(every.wanted.sum()) == 15
    with pytest.raises(GradscopeError, match="0 <= k <= t <= 5"):
        Points.of([(7, 2)], 5)
