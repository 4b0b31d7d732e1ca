"""Singular values of long products: against high-precision arithmetic, and against plain SVDs where
those can tell.
"""

import math

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradscope.cells import CELLS
from gradscope.dynamics import (
    singular_value_spectrum,
    step_jacobians,
    top_singular_values,
    unroll,
)
from gradscope.errors import GradscopeError
from tests.conftest import build, draw


def exact(jacobians: torch.Tensor, digits: int) -> list[float]:
    """ln of the singular values of the product, in arithmetic of that many digits."""
    with mpmath.workdps(digits):
        product = mpmath.eye(jacobians.shape[-1])
        for step in jacobians:
            product = mpmath.matrix(step.tolist()) * product
        values = mpmath.svd_r(product, compute_uv=False)
        # an exact zero comes out of the svd at the working precision's rounding
        least = max(values) * mpmath.mpf(10) ** (-digits // 2)
        return sorted(
            (float(mpmath.log(v)) if v > least else -math.inf for v in values), reverse=True
        )


def test_every_value_at_lag_1000_where_the_smallest_is_far_below_any_float():
    """A driven tanh network: sigma_min / sigma_max below 1e-300, relative error of each logarithm
    below 1e-6.
    """
    cell = build("rnn", 3, 5)
    trace = unroll(cell, draw(1000, 1, 3))
    truth = torch.tensor(exact(step_jacobians(trace)[:, 0], 4000), dtype=torch.float64)
    assert truth[-1] - truth[0] < -300 * math.log(10)
    ours = singular_value_spectrum(trace, 1000, 0)[0]
    assert ((ours - truth) / truth).abs().max() < 1e-6


# full_gate_lstm: its h is a function of its o and c, so J is singular without a zero row
@pytest.mark.parametrize("name", sorted(set(CELLS.names()) - {"full_gate_lstm"}))
def test_of_each_cell_against_high_precision(name):
    trace = unroll(build(name, 3, 3), draw(60, 1, 3))
    truth = torch.tensor(exact(step_jacobians(trace)[:, 0], 600), dtype=torch.float64)
    torch.testing.assert_close(
        singular_value_spectrum(trace, 60, 0)[0], truth, rtol=1e-9, atol=1e-9
    )


@given(st.integers(1, 7), st.integers(1, 3), st.integers(0, 30))
def test_short_products_agree_with_a_plain_svd(size, time, seed):
    jacobians = draw(time, 2, size, size, seed=seed)
    product = torch.eye(size, dtype=torch.float64)
    for step in jacobians:
        product = step @ product
    plain = torch.linalg.svdvals(product)
    ours = singular_value_spectrum(jacobians, time, 0).exp()
    assert ((ours - plain).abs() < 1e-10 * plain[:, :1]).all()


def test_clustered_values():
    q, _ = torch.linalg.qr(draw(6, 6))
    found = singular_value_spectrum((0.7 * q).expand(500, 1, 6, 6), 500, 0)
    torch.testing.assert_close(
        found, torch.full((1, 6), 500 * math.log(0.7), dtype=torch.float64), rtol=1e-10, atol=0
    )


def test_exact_zeros_are_minus_infinity():
    m = torch.diag(torch.tensor([2.0, 0.5, 0.0], dtype=torch.float64))
    found = singular_value_spectrum(m.expand(10, 1, 3, 3), 10, 0)[0]
    torch.testing.assert_close(
        found[:2], torch.tensor([10 * math.log(2), 10 * math.log(0.5)], dtype=torch.float64)
    )
    assert found[2] == -math.inf


def test_part_of_a_trajectory_and_nothing():
    trace = unroll(build("gru"), draw(9, 2, 3))
    torch.testing.assert_close(
        singular_value_spectrum(trace, 7, 2),
        singular_value_spectrum(step_jacobians(trace)[2:7], 5, 0),
    )
    assert (singular_value_spectrum(trace, 4, 4).abs() < 1e-12).all()
    with pytest.raises(GradscopeError, match="0 <= k <= t <= 9"):
        singular_value_spectrum(trace, 10, 2)


@pytest.mark.parametrize("name", CELLS.names())
def test_top_values_without_forming_a_jacobian(name):
    trace = unroll(build(name, 3, 12), draw(18, 2, 3))
    for sequence in (0, 1):
        whole = singular_value_spectrum(trace, 18, 3)[sequence]
        torch.testing.assert_close(
            top_singular_values(trace, 18, 3, 3, sequence=sequence), whole[:3], rtol=0, atol=1e-7
        )


def test_top_value_far_below_the_float_range():
    cell = build("rnn", 3, 10, activation="sigmoid")
    trace = unroll(cell, draw(600, 1, 3))
    top = top_singular_values(trace, 600, 0)
    assert top[0] < -600
    torch.testing.assert_close(
        top, singular_value_spectrum(trace, 600, 0)[0, :1], rtol=1e-9, atol=1e-6
    )


def test_top_value_of_nothing_and_errors():
    cell = build("rnn", 3, 6, activation="relu")
    cell.bias_ih.data.fill_(-100.0)
    trace = unroll(cell, draw(5, 1, 3))
    assert top_singular_values(trace, 5, 0)[0] == -math.inf
    with pytest.raises(GradscopeError, match=r"count should be 1\.\.5"):
        top_singular_values(trace, 5, 0, 6)
    with pytest.raises(GradscopeError, match="0 <= k < t"):
        top_singular_values(trace, 3, 3)


@pytest.mark.parametrize("size", [2, 3, 6])
def test_the_largest_of_a_small_state(size):
    cell = build("rnn", 2, size)
    trace = unroll(cell, draw(5, 1, 2))
    for count in range(1, size):
        exactly = singular_value_spectrum(trace, 5, 0)[0][:count]
        torch.testing.assert_close(
            top_singular_values(trace, 5, 0, count), exactly, rtol=1e-7, atol=1e-7
        )
