"""Mean field: exact cases, simulation, and a wide network's own exponent."""

import math

import numpy as np
import pytest
import torch

from gradscope.dynamics import critical_gain, lyapunov_spectrum, mean_field, unroll
from gradscope.dynamics.activations import ACTIVATIONS
from gradscope.dynamics.mean_field_theory import MOMENTS
from gradscope.errors import GradscopeError
from gradscope.inits import INITS
from tests.conftest import build, draw


@pytest.mark.parametrize("activation", MOMENTS)
@pytest.mark.parametrize("q", [0.0, 0.01, 1.0, 30.0, 400.0])
def test_moments_by_dense_quadrature(activation, q):
    z = np.linspace(-12, 12, 4_000_000)  # an even number: no point on the kink at 0
    weight = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    u = torch.from_numpy(math.sqrt(q) * z)
    phi = ACTIVATIONS[activation]
    y = phi(u)
    slope = phi.derivative(u, y).numpy()
    if q == 0 and activation in ("relu", "leaky_relu"):
        pytest.skip("at q = 0 every u is the kink")
    assert MOMENTS[activation].square(q) == pytest.approx(
        float((weight * y.numpy() ** 2).sum()), rel=1e-6, abs=1e-9
    )
    assert MOMENTS[activation].slope_square(q) == pytest.approx(
        float((weight * slope**2).sum()), rel=1e-6
    )


@pytest.mark.parametrize("activation", MOMENTS)
@pytest.mark.parametrize(
    ("q", "c"), [(0.01, 0.3), (1.0, 0.0), (1.0, 0.7), (30.0, 0.95), (400.0, 0.5)]
)
def test_moments_of_a_pair_by_dense_quadrature(activation, q, c):
    z = np.linspace(-8, 8, 6000)
    weight = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    phi = ACTIVATIONS[activation]
    products = np.zeros(2)
    for w, by_w in zip(z[::4], 4 * weight[::4], strict=True):
        u = torch.from_numpy(math.sqrt(q) * (math.sqrt(c) * w + math.sqrt(1 - c) * z))
        y = phi(u)
        products += by_w * np.array(
            [(weight @ part.numpy()) ** 2 for part in (y, phi.derivative(u, y))]
        )
    assert MOMENTS[activation].product(q, c) == pytest.approx(products[0], rel=2e-3, abs=1e-6)
    assert MOMENTS[activation].slope_product(q, c) == pytest.approx(products[1], rel=2e-3)


@pytest.mark.parametrize("activation", MOMENTS)
@pytest.mark.parametrize("q", [0.1, 2.0, 50.0])
def test_a_pair_that_agrees_is_one(activation, q):
    assert MOMENTS[activation].product(q, 1.0) == pytest.approx(
        MOMENTS[activation].square(q), rel=1e-9
    )
    assert MOMENTS[activation].slope_product(q, 1.0) == pytest.approx(
        MOMENTS[activation].slope_square(q), rel=1e-9
    )


def test_trajectories_part_in_chaos_and_meet_below_it():
    ordered, chaotic = (
        mean_field("tanh", 0.9, input_variance=0.1),
        mean_field("tanh", 2.5, input_variance=0.1),
    )
    assert ordered.correlation == 1
    assert ordered.correlation_length == pytest.approx(1 / abs(math.log(ordered.chi)))
    assert 0 < chaotic.correlation < 0.9
    assert chaotic.correlation_slope < 1 < chaotic.chi
    assert mean_field("tanh", 2.5).correlation == 0, "without inputs nothing keeps them together"
    assert math.isnan(mean_field("relu", 2.0, input_variance=0.1).correlation)


def test_correlation_of_a_wide_networks_two_trajectories():
    """tanh at gain 2.5 under common inputs of variance 0.5: c* of the theory is what 1000 units
    settle at.
    """
    size, gain, variance = 1000, 2.5, 0.5
    generator = torch.Generator().manual_seed(0)
    weight = (
        gain / math.sqrt(size) * torch.randn(size, size, dtype=torch.float64, generator=generator)
    )
    state, found = draw(2, size, seed=1), []
    for step in range(120):
        drive = math.sqrt(variance) * torch.randn(size, dtype=torch.float64, generator=generator)
        u = torch.tanh(state) @ weight.T + drive
        state = u
        if step >= 40:
            found.append(float((u[0] @ u[1]) / (u[0].norm() * u[1].norm())))
    assert np.mean(found) == pytest.approx(
        mean_field("tanh", gain, input_variance=variance).correlation, abs=0.02
    )


def test_critical_gains_in_closed_form():
    assert critical_gain("tanh") == pytest.approx(1, abs=1e-6)
    assert critical_gain("erf") == pytest.approx(math.sqrt(math.pi) / 2, abs=1e-6)
    assert critical_gain("relu") == pytest.approx(math.sqrt(2))
    assert critical_gain("identity") == pytest.approx(1)


def test_inputs_push_the_critical_gain_of_tanh_up_and_leave_relus():
    gains = [critical_gain("tanh", input_variance=v) for v in (0.0, 0.1, 1.0)]
    assert gains[0] < gains[1] < gains[2]
    assert critical_gain("relu", input_variance=1.0) == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize("gain", [0.5, 0.9, 1.5, 4.0, 10.0])
@pytest.mark.parametrize("variance", [0.0, 0.3])
def test_fixed_point_solves_its_equation(gain, variance):
    for activation in ("tanh", "erf"):
        found = mean_field(activation, gain, input_variance=variance)
        moments = MOMENTS[activation]
        assert found.q == pytest.approx(gain**2 * moments.square(found.q) + variance, abs=1e-9)
        assert found.chi == pytest.approx(gain**2 * moments.slope_square(found.q))
        if variance == 0 and gain <= 0.5:
            assert found.q == 0


def test_relu_and_linear_in_closed_form():
    assert mean_field("relu", 1.0, input_variance=0.6).q == pytest.approx(1.2)
    assert mean_field("relu", 1.0).chi == pytest.approx(0.5)
    assert mean_field("relu", 2.0, input_variance=0.1).q == math.inf
    assert mean_field("identity", 0.5, bias_variance=0.3).q == pytest.approx(0.4)
    assert mean_field("identity", 1.0).correlation_length == math.inf
    assert mean_field("identity", 0.5).correlation_length == pytest.approx(1 / math.log(4))


@pytest.mark.parametrize(("gain", "variance"), [(0.8, 0.25), (1.5, 0.25), (3.0, 0.25)])
def test_exponent_of_a_wide_driven_network(gain, variance):
    """Fresh Gaussian inputs of that variance: the largest exponent is ln(chi) / 2 to the size of
    fluctuations at 300 units.
    """
    size, time = 300, 400
    cell = build("rnn", size, size, recurrent_init={"name": "gaussian", "gain": gain}, bias=False)
    generator = torch.Generator().manual_seed(0)
    cell.weight_hh.data = (
        gain / math.sqrt(size) * torch.randn(size, size, dtype=torch.float64, generator=generator)
    )
    cell.weight_ih.data = torch.eye(size, dtype=torch.float64)
    trace = unroll(cell, math.sqrt(variance) * draw(time, 1, size))
    measured = lyapunov_spectrum(trace, k=1, burn_in=100).exponents[0]
    assert abs(measured - mean_field("tanh", gain, input_variance=variance).exponent) < 0.03


def test_critical_initialisation_by_name():
    w = INITS.make({"name": "critical", "activation": "relu"}).recurrent(
        500, torch.Generator().manual_seed(0)
    )
    assert float(w.var() * 500) == pytest.approx(2, rel=0.02)


def test_errors():
    with pytest.raises(GradscopeError, match="no mean field of 'sin'"):
        mean_field("sin")
    with pytest.raises(GradscopeError, match="from 0 to"):
        mean_field("tanh", -1.0)


@pytest.mark.parametrize("gain", [-1.0, math.nan, math.inf, 1e7])
def test_gains_are_in_a_range(gain):
    with pytest.raises(GradscopeError, match="gain should be from 0 to 1e"):
        mean_field("tanh", gain)


@pytest.mark.parametrize("variance", [-1.0, math.nan, math.inf, 1e308])
def test_variances_are_in_a_range(variance):
    for what in ("input_variance", "bias_variance"):
        with pytest.raises(GradscopeError, match=r"variances from 0 to 1e\+12"):
            mean_field("tanh", 1.0, **{what: variance})
