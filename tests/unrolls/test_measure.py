"""horizon, end to end: against closed forms, gradscope's own adjoints, and what is refused."""

import math
import warnings

import numpy as np
import pytest
import torch

import gradscope
from gradscope.errors import GradscopeError
from tests.conftest import draw
from tests.unrolls.conftest import inner_sgd, linear, logistic


def test_a_linear_map_has_its_powers_norms_far_below_what_a_float_holds():
    w = 0.01 * torch.linalg.qr(draw(4, 4))[0]
    found = gradscope.horizon(linear(w), draw(35, 4), 200, horizons=[1, 10, 200])
    expected = np.outer(np.array([0, 1, 10, 200]), np.full(35, math.log(0.01)))
    np.testing.assert_allclose(found.log_norms, expected, rtol=0, atol=1e-9)
    assert found.lyapunov_exponent.centre == pytest.approx(math.log(0.01), abs=1e-12)
    assert found.growth_rate.centre == pytest.approx(math.log(0.01), abs=1e-9)


def test_and_far_above():
    w = 1000 * torch.linalg.qr(draw(4, 4))[0]
    found = gradscope.horizon(linear(w), 1e-300 * draw(35, 4), 150, horizons=[150])
    np.testing.assert_allclose(found.log_norms[-1], 150 * math.log(1000), rtol=1e-12)


def test_a_cell_has_the_adjoint_norms_of_its_trace():
    cell, x = torch.nn.GRUCell(3, 8).double(), draw(30, 5, 3)
    start = draw(5, 8, seed=1)
    found = gradscope.horizon(
        lambda s, x: cell(x, s), start, 30, inputs=x, loss="mean_square", horizons=[12, 30]
    )
    for place, length in ((1, 12), (2, 30)):
        trace = gradscope.unroll(gradscope.convert(cell), x[:length], start)
        adjoints = gradscope.adjoints(trace, trace.states[-1].square().mean(-1)[None])
        np.testing.assert_allclose(found.log_norms[place], adjoints.log_norms()[0], atol=1e-10)
    assert all(sign.centre == 1 for sign in found.local_signs.shares if sign.n)


def test_a_chaotic_map_loses_its_sign_where_theory_says(chaotic):
    """The logistic map's exponent is ln 2; at scale r the sign is lost after ln(1 / r) / ln 2."""
    low, high = chaotic.lyapunov_exponent.low, chaotic.lyapunov_exponent.high
    assert low - 0.05 < math.log(2) < high + 0.05
    lost = -math.log(chaotic.signs.radius) / math.log(2)
    assert lost - 4 < chaotic.trusted_horizon.centre < lost + 4
    assert not chaotic.trusted_horizon.censored
    assert chaotic.truncation.steps is not None
    assert chaotic.truncation.steps <= chaotic.trusted_horizon.centre
    assert "agrees" in chaotic.truncation.reason
    assert chaotic.variance_rate > 2 * math.log(2) - 0.3


def test_a_gradient_that_fades(fading):
    assert fading.trusted_horizon.censored
    assert fading.memory is not None
    assert fading.memory.lag == pytest.approx(-1 / math.log(0.8), rel=0.02)
    assert fading.truncation.steps is not None
    assert 0.8**fading.truncation.steps > 0.01
    assert "hundredth" in fading.truncation.reason


def test_a_dead_step_is_exactly_zero(dead):
    assert np.isinf(dead.log_norms[np.array(dead.horizons) >= 5]).all()
    assert np.isfinite(dead.log_norms[np.array(dead.horizons) < 5]).all()
    assert dead.lyapunov_exponent.centre == -math.inf
    assert dead.memory is not None
    assert dead.memory.kind == "finite support"
    assert not np.isnan(dead.log_norms).any()


def test_an_inner_loop_is_an_unroll():
    """ds_T/ds_0 = (1 - rate H)^T, diagonal."""
    found = gradscope.horizon(
        inner_sgd, {"w": draw(4, 2)}, 20, loss=lambda s: s["w"][:, 0], horizons=[20]
    )
    np.testing.assert_allclose(found.log_norms[-1], 20 * math.log(0.85), rtol=1e-12)


def test_gradients_by_parameters():
    """d/drate of c . (1 - rate H)^T w, start by start."""
    rate = torch.tensor(0.15, dtype=torch.float64, requires_grad=True)
    start = draw(6, 2)
    found = gradscope.horizon(
        lambda state: inner_sgd(state, rate),
        {"w": start},
        20,
        loss=lambda s: s["w"].sum(-1),
        parameters=[rate],
        horizons=[1, 20],
    )
    assert found.horizons == [1, 20]
    curvature = torch.tensor([1.0, 10.0], dtype=torch.float64)
    for place, length in enumerate(found.horizons):
        slope = -length * (1 - 0.15 * curvature) ** (length - 1) * curvature
        expected = (slope * start).sum(-1).abs().log()
        np.testing.assert_allclose(found.log_norms[place], expected, rtol=1e-9, atol=1e-9)
    assert rate.item() == 0.15
    assert found.by == "the parameters"
    assert found.signs.shares[0].centre == 1


def test_a_modules_parameters_are_those_that_require_grad():
    cell = torch.nn.Linear(3, 3).double()
    cell.bias.requires_grad_(False)
    start = draw(4, 3)
    found = gradscope.horizon(cell, start, 3, parameters=cell, loss="mean_square", horizons=[3])
    assert found.size == 9
    for row in range(4):
        s = start[row : row + 1]
        for _ in range(3):
            s = cell(s)
        (slope,) = torch.autograd.grad(s.square().mean(), cell.weight)
        assert found.log_norms[0, row] == pytest.approx(float(slope.norm().log()))


def test_a_gradient_that_is_not_the_derivative_is_told():
    """The inner gradient without create_graph=True, as in first-order meta-learning."""

    def step(state):
        w = state["w"]
        (slope,) = torch.autograd.grad((w**4).sum(), w)
        return {"w": w - 0.02 * slope}

    found = gradscope.horizon(step, {"w": draw(4, 2)}, 5)
    assert any("not the derivative" in note for note in found.notes)


def test_a_part_that_is_cut_off_is_told():
    def step(state):
        x, v = state
        return x + 0.1 * v.detach(), v.detach()

    found = gradscope.horizon(step, (draw(4, 2), draw(4, 2)), 5)
    assert any("state[1] without a gradient" in note for note in found.notes)


def test_noise_is_shared_and_the_seed_is_the_answers():
    def step(s):
        return s * (1 + 0.3 * torch.randn_like(s))

    start = draw(16, 2)
    state = torch.get_rng_state()
    once, again = (gradscope.horizon(step, start, 10) for _ in range(2))
    other = gradscope.horizon(step, start, 10, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(once.log_norms, again.log_norms)
    assert not np.array_equal(once.log_norms, other.log_norms)
    assert all(sign.centre == 1 for sign in once.local_signs.shares)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_coarser_numbers(dtype):
    w = (0.9 * torch.linalg.qr(draw(3, 3))[0]).to(dtype)
    found = gradscope.horizon(linear(w), draw(8, 3).to(dtype), 20)
    rates = found.growth_rate
    assert rates.centre == pytest.approx(math.log(0.9), abs=0.02)
    # of bfloat16 the smallest differences are within rounding
    assert len(found.notes) == (dtype == torch.bfloat16)


def test_one_start_and_one_step():
    w = draw(3, 3)
    found = gradscope.horizon(lambda s: w @ s, draw(1, 3)[0], 1, batched=False)
    assert (found.starts, found.horizons) == (1, [0, 1])
    assert np.isnan(found.log_variance).all()
    assert found.signs.shares[1].n == 32  # that many directions of the one start
    assert repr(found)
    assert len(found.to_frame()) == 2


def test_a_long_run_keeps_states_in_parts(monkeypatch):
    from gradscope.unrolls import _sweep

    start = draw(3, 1).sigmoid()
    whole = gradscope.horizon(logistic, start, 23)
    monkeypatch.setattr(_sweep, "_KEPT", 0)
    parts = gradscope.horizon(logistic, start, 23)
    np.testing.assert_array_equal(parts.log_norms, whole.log_norms)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"T": 0}, "at least 1"),
        ({"scale": 0.0}, "scale should be"),
        ({"horizons": [9]}, "horizons should be whole numbers from 0 to 5"),
        ({"loss": "norm"}, "one of projection, mean_square"),
        ({"loss": lambda s: s.sum()}, r"one number for each start, \(70,\), got \(\)"),
        ({"loss": lambda s: s.detach().sum(-1)}, "loss is not differentiable"),
        ({"loss": lambda s: (s - s).sum(-1) / 0}, "at t = 5, or its gradient, is not finite"),
        ({"parameters": torch.zeros(2)}, "should be tensors that require grad"),
        ({"parameters": []}, "no parameters that require grad"),
        ({"parameters": torch.zeros(2, requires_grad=True)}, "at most 64, got 70"),
    ],
)
def test_errors_name_the_cause(wrong, message):
    arguments = {"T": 5, **wrong}
    with pytest.raises(GradscopeError, match=message):
        gradscope.horizon(logistic, draw(70, 1).sigmoid(), **arguments)


def test_nothing_is_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gradscope.horizon(torch.nn.Tanh(), draw(2, 3), 3)
