"""Products of Jacobians: closed forms, and autograd as the slow twin."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradscope.cells import CELLS, Stack
from gradscope.dynamics import jacobian_product, jacobian_products, step_jacobians, unroll
from gradscope.errors import GradscopeError
from tests.conftest import build, draw
from tests.dynamics.conftest import linear_cell


@pytest.mark.parametrize("name", CELLS.names())
@given(time=st.integers(1, 6), layers=st.integers(1, 2), seed=st.integers(0, 50))
def test_product_is_autograds_derivative_of_the_unroll(name, time, layers, seed):
    cell = Stack([build(name, 2 if layer == 0 else 3, 3, seed + layer) for layer in range(layers)])
    trace = unroll(cell, draw(time, 2, 2, seed=seed))
    for t, k in {(time, 0), (time, time - 1), (time, time), (time // 2, 0)}:
        product = jacobian_product(trace, t, k).matrix()
        for b in range(2):
            slow = (
                torch.autograd.functional.jacobian(
                    lambda s, b=b, t=t, k=k: cell.unroll(trace.inputs[k:t, b : b + 1], s[None])[
                        -1, 0
                    ],
                    trace.states[k, b].detach(),
                )
                if t > k
                else torch.eye(cell.state_size, dtype=torch.float64)
            )
            torch.testing.assert_close(product[b], slow, rtol=0, atol=1e-10)


def test_linear_cell_is_a_matrix_power():
    w = draw(5, 5) / 2
    trace = unroll(linear_cell(w), draw(7, 1, 2))
    torch.testing.assert_close(
        jacobian_product(trace, 7, 2).matrix()[0], torch.linalg.matrix_power(w, 5)
    )


@pytest.mark.parametrize("gain", [0.5, 1.0, 1.7])
def test_orthogonal_linear_cell_scales_every_direction_by_the_gain(gain):
    q, _ = torch.linalg.qr(draw(6, 6))
    trace = unroll(linear_cell(gain * q), draw(400, 1, 2) * 1e-3)
    product = jacobian_product(trace, 400, 0)
    expected = torch.full((1, 6), 400 * math.log(gain), dtype=torch.float64)
    torch.testing.assert_close(product.log_singular_values(), expected, rtol=1e-12, atol=1e-9)
    torch.testing.assert_close(product.log_spectral_norm(), expected[:, 0], rtol=1e-12, atol=1e-9)


def test_lstm_without_recurrent_weights_keeps_the_product_of_its_forget_gates():
    cell = build("lstm")
    cell.weight_hh.data.zero_()
    trace = unroll(cell, draw(8, 2, 3))
    forget = cell.gates(trace.inputs, trace.states[:-1])["f"]
    product = jacobian_product(trace, 8, 2).matrix()[:, 4:, 4:]
    expected = torch.diag_embed(torch.sigmoid(forget.preactivation)[2:8].prod(0))
    torch.testing.assert_close(product, expected, rtol=0, atol=1e-14)


@given(
    st.sets(
        st.tuples(st.integers(0, 12), st.integers(0, 12)).map(lambda p: (max(p), min(p))),
        min_size=1,
    )
)
def test_any_set_of_pairs(pairs):
    trace = unroll(build("gru"), draw(12, 1, 3))
    found = {}
    for ts, k, products in jacobian_products(trace, sorted(pairs)):
        for t, value in zip(ts, products.log_spectral_norm()[:, 0].tolist(), strict=True):
            found[t, k] = value
    assert set(found) == pairs
    for (t, k), value in found.items():
        assert abs(value - jacobian_product(trace, t, k).log_spectral_norm()[0]) < 1e-11


def test_a_small_memory_budget_changes_nothing():
    trace = unroll(build("lstm"), draw(10, 2, 3))
    pairs = [(t, k) for t in range(11) for k in range(t + 1)]
    found = {}
    for ts, k, products in jacobian_products(trace, pairs, memory_budget=1):
        assert len(ts) == 1
        found[ts[0], k] = products.log_spectral_norm()[0]
    for t, k in pairs:
        torch.testing.assert_close(
            found[t, k], jacobian_product(trace, t, k).log_spectral_norm(), rtol=0, atol=1e-11
        )


def test_products_may_be_kept():
    trace = unroll(build("lstm"), draw(6, 1, 3))
    for ts, k, products in list(
        jacobian_products(trace, [(t, k) for t in range(7) for k in range(t + 1)])
    ):
        for t, product in zip(ts, products.matrix(), strict=True):
            torch.testing.assert_close(product, jacobian_product(trace, t, k).matrix())


def test_the_product_of_no_steps_is_the_identity():
    trace = unroll(build("lstm"), draw(4, 2, 3))
    for t in (0, 2, 4):
        product = jacobian_product(trace, t, t)
        assert torch.equal(product.matrix(), torch.eye(8, dtype=torch.float64).expand(2, 8, 8))


def test_jacobians_may_be_brought():
    trace = unroll(build("gru"), draw(6, 2, 3))
    ours, theirs = jacobian_product(step_jacobians(trace), 5, 1), jacobian_product(trace, 5, 1)
    assert torch.equal(ours.mantissa, theirs.mantissa)
    assert torch.equal(ours.log_scale, theirs.log_scale)


def test_errors_name_the_cause():
    trace = unroll(build("rnn"), draw(4, 1, 3))
    with pytest.raises(GradscopeError, match=r"0 <= k <= t <= 4, got t = 2, k = 3"):
        jacobian_product(trace, 2, 3)
    with pytest.raises(GradscopeError, match="got t = 5"):
        list(jacobian_products(trace, [(5, 0)]))
