"""Products of Jacobians: closed forms, autograd as the slow twin, and what a float cannot hold."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradscope import (
    GradscopeError,
    Stack,
    jacobian_log_norms,
    jacobian_product,
    jacobian_products,
    step_jacobians,
    unroll,
)
from gradscope.components import registry
from gradscope.dynamics import log_norm
from gradscope.dynamics.trace import Trace
from tests.conftest import build, draw


def linear(matrix: torch.Tensor, inputs: int = 2) -> torch.nn.Module:
    cell = build("rnn", inputs, matrix.shape[0], activation="identity", bias=False)
    cell.weight_hh.data = matrix
    return cell


@pytest.mark.parametrize("name", registry.names("cell"))
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
    trace = unroll(linear(w), draw(7, 1, 2))
    torch.testing.assert_close(
        jacobian_product(trace, 7, 2).matrix()[0], torch.linalg.matrix_power(w, 5)
    )


@pytest.mark.parametrize("gain", [0.5, 1.0, 1.7])
def test_orthogonal_linear_cell_scales_every_direction_by_the_gain(gain):
    q, _ = torch.linalg.qr(draw(6, 6))
    trace = unroll(linear(gain * q), draw(400, 1, 2) * 1e-3)
    product = jacobian_product(trace, 400, 0)
    expected = torch.full((1, 6), 400 * math.log(gain), dtype=torch.float64)
    torch.testing.assert_close(product.log_singular_values(), expected, rtol=1e-12, atol=1e-9)
    torch.testing.assert_close(product.log_spectral_norm(), expected[:, 0], rtol=1e-12, atol=1e-9)


def test_nilpotent_shift_is_exactly_zero_after_as_many_steps_as_units():
    """Spectral radius 0, yet the norm is a^lag for lag < N, and then exactly 0, which is -inf and
    not NaN.
    """
    a, n = 3.0, 5
    shift = a * torch.diag(torch.ones(n - 1, dtype=torch.float64), -1)
    norms = jacobian_log_norms(unroll(linear(shift), draw(9, 1, 2) * 0.01))
    for lag in range(10):
        value = norms[9, 9 - lag, 0]
        assert value == -math.inf if lag >= n else abs(value - lag * math.log(a)) < 1e-12


def test_lstm_without_recurrent_weights_keeps_the_product_of_its_forget_gates():
    cell = build("lstm")
    cell.weight_hh.data.zero_()
    trace = unroll(cell, draw(8, 2, 3))
    forget = cell.gates(trace.inputs, trace.states[:-1])["f"]
    product = jacobian_product(trace, 8, 2).matrix()[:, 4:, 4:]
    expected = torch.diag_embed(torch.sigmoid(forget.preactivation)[2:8].prod(0))
    torch.testing.assert_close(product, expected, rtol=0, atol=1e-14)


def test_gru_without_recurrent_weights_has_its_update_gate_as_jacobian():
    cell = build("gru")
    cell.weight_hh.data.zero_()
    trace = unroll(cell, draw(3, 2, 3))
    update = torch.sigmoid(cell.gates(trace.inputs, trace.states[:-1])["z"].preactivation)
    torch.testing.assert_close(step_jacobians(trace), torch.diag_embed(update), rtol=0, atol=1e-14)


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
@pytest.mark.parametrize("name", registry.names("cell"))
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


def test_step_jacobians_that_do_not_fit_into_memory_are_refused_before_anything_is_tried():
    cell = build("rnn", 1, 2)
    huge = torch.zeros(1, 1, 1).expand(2**20 + 1, 2**10, 2**12)  # a view: no memory of its own
    with pytest.raises(GradscopeError, match=r"GiB.*top_singular_values"):
        step_jacobians(Trace(cell, torch.zeros(1, 1, 1).expand(2**20, 2**10, 1), huge))


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


def test_jacobians_of_a_cell_without_a_closed_form():
    from gradscope.cells import Cell

    class Odd(Cell):
        def __init__(self):
            super().__init__(2, 3)
            self.w = torch.nn.Parameter(draw(3, 3))

        def forward(self, x, s):
            return torch.sin(s @ self.w.T) * (1 + x.sum(-1, keepdim=True)) + s**2

        def reset_parameters(self, generator=None):
            pass

    cell = Odd()
    trace = unroll(cell, draw(4, 2, 2))
    slow = torch.autograd.functional.jacobian(
        lambda s: cell(trace.inputs[2, 1], s), trace.states[2, 1].detach()
    )
    torch.testing.assert_close(step_jacobians(trace)[2, 1], slow, rtol=0, atol=1e-12)


def test_errors_name_the_cause():
    trace = unroll(build("rnn"), draw(4, 1, 3))
    with pytest.raises(GradscopeError, match=r"0 <= k <= t <= 4, got t = 2, k = 3"):
        jacobian_product(trace, 2, 3)
    with pytest.raises(GradscopeError, match="got t = 5"):
        jacobian_log_norms(trace, pairs=[(5, 0)])
    with pytest.raises(GradscopeError, match="no time step"):
        unroll(build("rnn"), draw(0, 1, 3))
    with pytest.raises(GradscopeError, match=r"\(time, batch, 3\), got \(4, 1, 2\)"):
        unroll(build("rnn"), draw(4, 1, 2))
    broken = build("rnn", activation="relu")
    broken.weight_hh.data[0, 0] = torch.nan
    with pytest.raises(GradscopeError, match="t = 1 is not finite"):
        unroll(broken, draw(4, 1, 3))
    with pytest.raises(GradscopeError, match="the state should be"):
        unroll(build("rnn"), draw(4, 1, 3), draw(2, 4))
    jacobians = torch.ones(3, 1, 2, 2)
    jacobians[1] = torch.inf
    from dataclasses import replace

    class Infinite:
        def jacobian(self, *_):
            return jacobians

    with pytest.raises(GradscopeError, match="at t = 2 is not finite"):
        step_jacobians(replace(trace, cell=Infinite(), cache={}))


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
    """Steps that shrink or grow by many orders each: no product passes through 0 or inf on its way."""
    q, _ = torch.linalg.qr(draw(4, 4))
    jacobians = (scale * q.float()).expand(60, 2, 4, 4)
    found = jacobian_log_norms(jacobians)
    lags = torch.arange(61, dtype=torch.float64)
    expected = (lags[:, None] - lags[None, :]) * math.log(scale)
    below = expected.masked_fill((lags[:, None] - lags[None, :]) < 0, torch.nan)
    torch.testing.assert_close(found[..., 0], below, rtol=1e-5, atol=1e-4, equal_nan=True)


def test_cells_that_cannot_be_measured_say_why():
    from gradscope import adjoints
    from gradscope.cells import Cell

    class Noisy(Cell):
        def __init__(self, how):
            super().__init__(2, 3)
            self.how, self.w = how, torch.nn.Parameter(draw(3, 3))

        def forward(self, x, s):
            after = torch.tanh(s @ self.w.mT + x.sum(-1, keepdim=True))
            return after + torch.randn_like(after) if self.how == "random" else after.detach()

        def reset_parameters(self, generator=None):
            pass

    with pytest.raises(GradscopeError, match=r"not deterministic.*cell\.eval\(\)"):
        unroll(Noisy("random"), draw(4, 2, 2))
    trace = unroll(Noisy("cut off"), draw(4, 2, 2))
    with pytest.raises(GradscopeError, match="not differentiable"):
        adjoints(trace, trace.states[-1].sum(-1)[None])


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


def test_products_may_be_kept():
    trace = unroll(build("lstm"), draw(6, 1, 3))
    for ts, k, products in list(
        jacobian_products(trace, [(t, k) for t in range(7) for k in range(t + 1)])
    ):
        for t, product in zip(ts, products.matrix(), strict=True):
            torch.testing.assert_close(product, jacobian_product(trace, t, k).matrix())
