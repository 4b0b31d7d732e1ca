"""Norms of Jacobian products by pair, lag and block, and what a float cannot hold."""

import math

import pytest
import torch

from gradscope.cells import CELLS
from gradscope.dynamics import (
    jacobian_log_norms,
    jacobian_product,
    log_norm,
    step_jacobians,
    unroll,
)
from gradscope.errors import GradscopeError
from tests.conftest import build, draw
from tests.dynamics.conftest import linear_cell


def test_nilpotent_shift_is_exactly_zero_after_as_many_steps_as_units():
    """Spectral radius 0, yet the norm is a^lag for lag < N, and then exactly 0, which is -inf and
    not NaN.
    """
    a, n = 3.0, 5
    shift = a * torch.diag(torch.ones(n - 1, dtype=torch.float64), -1)
    norms = jacobian_log_norms(unroll(linear_cell(shift), draw(9, 1, 2) * 0.01))
    for lag in range(10):
        value = norms[9, 9 - lag, 0]
        assert value == -math.inf if lag >= n else abs(value - lag * math.log(a)) < 1e-12


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_pascanus_bound(activation):
    """||J_{t:k}|| <= (sigma_max(W) sup|phi'|)^(t - k)."""
    cell = build("rnn", activation=activation)
    trace = unroll(cell, draw(12, 3, 3))
    norms = jacobian_log_norms(trace)
    bound = math.log(torch.linalg.matrix_norm(cell.weight_hh.detach(), 2) * cell.phi.max_slope)
    for t in range(13):
        for k in range(t):
            assert (norms[t, k] <= (t - k) * bound + 1e-9).all()


def test_hidden_norm_is_the_block_of_the_product_not_a_product_of_blocks():
    cell = build("lstm", hidden_size=4)
    cell.bias_ih.data[4:8] = (
        6.0  # an open forget gate: the carousel carries what the hidden blocks alone lose
    )
    trace = unroll(cell, draw(30, 1, 3))
    norms = jacobian_log_norms(trace, block="hidden")
    product = jacobian_product(trace, 30, 0).matrix()[0]
    torch.testing.assert_close(norms[30, 0, 0], torch.linalg.matrix_norm(product[:4, :4], 2).log())
    blocks = torch.eye(4, dtype=torch.float64)
    for step in step_jacobians(trace)[:, 0].flip(0):
        blocks = blocks @ step[:4, :4]
    assert norms[30, 0, 0] - torch.linalg.matrix_norm(blocks, 2).log() > 5


@pytest.mark.parametrize("norm", ["spectral", "frobenius"])
@pytest.mark.parametrize("name", CELLS.names())
def test_all_pairs_equal_one_by_one(name, norm):
    trace = unroll(build(name), draw(9, 2, 3))
    table = jacobian_log_norms(trace, norm=norm)
    for t in range(10):
        for k in range(10):
            if k > t:
                assert table[t, k].isnan().all()
            else:
                torch.testing.assert_close(
                    table[t, k], log_norm(jacobian_product(trace, t, k), norm), rtol=0, atol=1e-11
                )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_right_logarithm_where_a_plain_float_product_underflows(dtype):
    """A sigmoid network at lag 1000: the truth is about e^-3000, plain products in either dtype
    give 0.
    """
    cell = build("rnn", activation="sigmoid", hidden_size=8)
    inputs = draw(1000, 1, 3)
    trace = unroll(cell.to(dtype), inputs.to(dtype))
    plain = torch.eye(8, dtype=dtype)
    for step in step_jacobians(trace)[:, 0]:
        plain = step @ plain
    assert (plain == 0).all()
    ours = jacobian_log_norms(trace, pairs=[(1000, 0)])[1000, 0, 0]
    mantissa, scale = torch.eye(8, dtype=torch.float64), 0.0
    for step in step_jacobians(unroll(cell.double(), inputs))[
        :, 0
    ]:  # the other order, another way to carry the scale
        mantissa = step @ mantissa
        scale += float(torch.linalg.matrix_norm(mantissa).log())
        mantissa = mantissa / torch.linalg.matrix_norm(mantissa)
    truth = scale + float(torch.linalg.matrix_norm(mantissa, 2).log())
    assert truth < -1000
    assert abs(ours - truth) < (1e-8 if dtype == torch.float64 else 0.05)


def test_exploding_products_are_as_right_as_vanishing_ones():
    w = 40 * torch.eye(3, dtype=torch.float64)
    ours = jacobian_log_norms(
        torch.eye(3, dtype=torch.float64).expand(500, 1, 3, 3) @ w, pairs=[(500, 0)]
    )[500, 0, 0]
    assert abs(ours - 500 * math.log(40)) < 1e-9


def test_anchors_and_lags_are_entries_of_the_whole_table():
    trace = unroll(build("lstm"), draw(9, 2, 3))
    whole = jacobian_log_norms(trace)
    found = jacobian_log_norms(trace, anchors=[9, 4], lags=[0, 3, 6])
    assert found.shape == (2, 3, 2)
    torch.testing.assert_close(found[0], whole[9, [9, 6, 3]])
    torch.testing.assert_close(found[1, :2], whole[4, [4, 1]])
    assert found[1, 2].isnan().all()
    torch.testing.assert_close(jacobian_log_norms(trace, lags=[2])[0, 0], whole[9, 7])
    assert jacobian_log_norms(trace, anchors=[5]).shape == (1, 10, 2)
    with pytest.raises(GradscopeError, match="at least 0"):
        jacobian_log_norms(trace, lags=[-1])


def test_blocks_by_name():
    trace = unroll(build("lstm"), draw(6, 1, 3))
    product = jacobian_product(trace, 6, 1).matrix()[0]
    for name, part in (
        ("state", slice(None)),
        ("hidden", slice(0, 4)),
        ("h", slice(0, 4)),
        ("c", slice(4, 8)),
    ):
        ours = jacobian_log_norms(trace, block=name, pairs=[(6, 1)])[6, 1, 0]
        torch.testing.assert_close(ours, torch.linalg.matrix_norm(product[part, part], 2).log())
    with pytest.raises(GradscopeError, match="no part 'cell'; known: state, hidden, h, c"):
        jacobian_log_norms(trace, block="cell")


def test_plain_jacobians_may_be_brought():
    trace = unroll(build("gru"), draw(6, 2, 3))
    torch.testing.assert_close(
        jacobian_log_norms(step_jacobians(trace)), jacobian_log_norms(trace), equal_nan=True
    )
    with pytest.raises(GradscopeError, match=r"known: state$"):
        jacobian_log_norms(step_jacobians(trace), block="hidden")


@pytest.mark.parametrize("scale", [1e-30, 1e-9, 1e-3, 1e3, 1e9, 1e30])
def test_steps_of_any_size_in_float32(scale):
    """Steps that shrink or grow by many orders each; no product may pass through 0 or inf."""
    q, _ = torch.linalg.qr(draw(4, 4))
    jacobians = (scale * q.float()).expand(60, 2, 4, 4)
    found = jacobian_log_norms(jacobians)
    lags = torch.arange(61, dtype=torch.float64)
    expected = (lags[:, None] - lags[None, :]) * math.log(scale)
    below = expected.masked_fill((lags[:, None] - lags[None, :]) < 0, torch.nan)
    torch.testing.assert_close(found[..., 0], below, rtol=1e-5, atol=1e-4, equal_nan=True)


@pytest.mark.parametrize("size", [4, 64])
@pytest.mark.parametrize("scale", [0.003, 0.0101, 0.09, 0.11, 2.0, 9.0, 11.0, 90.0, 400.0])
def test_float32_products_of_random_steps_agree_with_float64(size, scale):
    """Around the borders of what is rescaled when: neither entries nor their squares may leave
    float32's range.
    """
    jacobians = (scale * draw(40, 1, size, size)).float()
    for norm in ("frobenius", "spectral"):
        pairs = [(40, k) for k in range(0, 41, 5)] if norm == "spectral" else None
        single = jacobian_log_norms(jacobians, norm=norm, pairs=pairs)
        double = jacobian_log_norms(jacobians.double(), norm=norm, pairs=pairs)
        torch.testing.assert_close(single, double, rtol=0, atol=1e-3, equal_nan=True)


def test_growing_products_do_not_overflow_on_their_way():
    found = jacobian_log_norms(8 * torch.ones(40, 1, 64, 64), norm="frobenius")
    assert found[40, 0, 0] == pytest.approx(40 * math.log(8 * 64))


def test_far_beyond_a_float():
    trace = unroll(build("rnn", 2, 30).float(), draw(80, 1, 2).float())
    trace.cell.weight_hh.data *= 1e-3
    found = jacobian_log_norms(trace, norm="frobenius")
    assert found[80, 0, 0] < -300
    torch.testing.assert_close(
        found[80, 0], jacobian_product(trace, 80, 0).log_frobenius_norm(), rtol=0, atol=1e-4
    )


def test_a_state_beyond_the_budget_is_named():
    with pytest.raises(GradscopeError, match=r"50 x 50 take .* memory_budget"):
        jacobian_log_norms(draw(20, 1, 50, 50), memory_budget=1000)


def test_no_pairs_are_an_empty_table():
    assert jacobian_log_norms(draw(4, 1, 3, 3), pairs=[]).isnan().all()


def test_a_pair_that_does_not_exist_is_refused():
    with pytest.raises(GradscopeError, match="got t = 5"):
        jacobian_log_norms(unroll(build("rnn"), draw(4, 1, 3)), pairs=[(5, 0)])
