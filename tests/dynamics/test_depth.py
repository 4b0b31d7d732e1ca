"""Gains along depth and the share of the identity: closed forms, and the matrices themselves."""

import math

import pytest
import torch

import gradscope
from gradscope.dynamics import composite_gain, depth_gain
from gradscope.errors import GradscopeError
from tests.conftest import build, draw

LAYERS, SIZE = 6, 40


def linear(weight):
    """A trace of x_l = W x_{l-1}."""
    cell = build("rnn", hidden_size=len(weight), activation="identity", input_size=2)
    cell = cell.double()
    with torch.no_grad():
        cell.weight_hh.copy_(weight)
    return gradscope.unroll(cell, draw(LAYERS, 3, 2))


def orthogonal(size=SIZE):
    return torch.linalg.qr(draw(size, size))[0]


def exact_share(j):
    return float(j.trace() ** 2 / (len(j) * j.square().sum()))


@pytest.mark.parametrize("probes", [16, SIZE])
def test_of_a_multiple_of_the_identity_everything_is_known(probes):
    gain = depth_gain(linear(1.5 * torch.eye(SIZE, dtype=torch.float64)), probes=probes)
    expected = math.log(1.5) * torch.arange(LAYERS, -1, -1.0).double()
    torch.testing.assert_close(gain.log_gain, expected[:, None].expand(-1, 3))
    torch.testing.assert_close(gain.identity_share, torch.ones(LAYERS + 1, 3).double())
    torch.testing.assert_close(gain.scale, expected[:, None].exp().expand(-1, 3))
    assert (gain.log_rest < -15).all()
    assert (gain.log_gain_error.abs() < 1e-12).all()


def test_an_orthogonal_matrix_keeps_lengths_and_little_of_the_identity():
    weight = orthogonal()
    gain = depth_gain(linear(weight), probes=SIZE)
    torch.testing.assert_close(gain.log_gain, torch.zeros(LAYERS + 1, 3).double())
    shares = [
        exact_share(torch.linalg.matrix_power(weight, LAYERS - at)) for at in range(LAYERS + 1)
    ]
    torch.testing.assert_close(gain.identity_share[:, 0], torch.tensor(shares).double())


def test_the_whole_of_a_small_jacobian_is_the_matrix_itself():
    trace = gradscope.unroll(build("gru", hidden_size=5, input_size=3), draw(7, 2, 3))
    for each in (False, True):
        gain = depth_gain(trace, probes=8, each=each)
        for at in range(len(gain.log_gain)):
            if each:
                j = gradscope.step_jacobians(trace)[at, 1].double()
            else:
                j = gradscope.jacobian_product(trace, 7, at).matrix()[1]
            size = j.square().sum().sqrt() / len(j) ** 0.5
            torch.testing.assert_close(gain.log_gain[at, 1], size.log(), rtol=1e-5, atol=1e-6)
            share = gain.identity_share[at, 1]
            assert float(share) == pytest.approx(exact_share(j), abs=1e-6)
            rest = j - j.trace() / len(j) * torch.eye(len(j))
            expected = (rest.square().sum().sqrt() / len(j) ** 0.5).log()
            if at < 7 or each:
                torch.testing.assert_close(gain.log_rest[at, 1], expected, rtol=1e-4, atol=1e-4)
        assert not gain.identity_share_error.any()


def test_estimates_are_right_within_their_standard_errors():
    weight = torch.eye(SIZE, dtype=torch.float64) + 0.2 * draw(SIZE, SIZE) / SIZE**0.5
    trace = linear(weight)
    exact = depth_gain(trace, probes=SIZE)
    apart = {"log_gain": [], "scale": [], "identity_share": []}
    for seed in range(15):
        found = depth_gain(trace, probes=12, seed=seed)
        for name, values in apart.items():
            error = getattr(found, f"{name}_error")[:-1]
            values.append((getattr(found, name)[:-1] - getattr(exact, name)[:-1]) / error)
    for name, values in apart.items():
        z = torch.stack(values)
        assert 0.7 < float(z.square().mean().sqrt()) < 1.6, name
        assert abs(float(z.mean())) < 0.35, name


def test_scales_beyond_what_a_float_holds_and_exact_zeros():
    cell = build("rnn", hidden_size=4, activation="identity", input_size=2)
    for factor, expected in ((1e-30, -math.log(1e30)), (0.0, -math.inf)):
        with torch.no_grad():
            cell.weight_hh.copy_(factor * torch.eye(4))
        gain = depth_gain(gradscope.unroll(cell, draw(20, 2, 2)), probes=3)
        logs = gain.log_gain[:, 0]
        assert float(logs[-2]) == pytest.approx(expected, rel=1e-5)
        assert float(logs[0]) == pytest.approx(20 * expected, rel=1e-5)
        assert float(logs[-1]) == 0
        assert not gain.identity_share.isnan().any()


def test_what_does_not_fit_is_named():
    trace = linear(torch.eye(4, dtype=torch.float64))
    with pytest.raises(GradscopeError, match="at least 2 probes"):
        depth_gain(trace, probes=1)
    with pytest.raises(GradscopeError, match="the trace is empty"):
        depth_gain(trace.steps(0, 0))
    with pytest.raises(GradscopeError, match=r"mixing matrices \(layers, ..., stream, stream\)"):
        composite_gain(torch.ones(3, 2))


# --- streams --------------------------------------------------------------------------------------


def test_doubly_stochastic_mixing_never_amplifies():
    """A product of them is one; its rows and columns sum to 1 (mHC)."""
    mixing = draw(50, 4, 4).exp()
    for _ in range(200):
        mixing = mixing / mixing.sum(-1, keepdim=True)
        mixing = mixing / mixing.sum(-2, keepdim=True)
    gain = composite_gain(mixing)
    for logs in (gain.log_row_gain, gain.log_column_gain, gain.log_spectral_norm):
        torch.testing.assert_close(logs, torch.zeros(51).double(), rtol=0, atol=1e-10)
    assert float(gain.identity_share[-1]) == 1
    assert float(gain.identity_share[0]) == pytest.approx(1 / 4, abs=1e-6)  # all streams alike


def test_gains_of_products_are_those_of_the_products():
    mixing = draw(5, 3, 2, 4, 4)
    gain = composite_gain(mixing)
    product = torch.eye(4).double().expand(3, 2, 4, 4)
    for layer in range(5, -1, -1):
        torch.testing.assert_close(gain.log_row_gain[layer], product.abs().sum(-1).amax(-1).log())
        torch.testing.assert_close(
            gain.log_column_gain[layer], product.abs().sum(-2).amax(-1).log()
        )
        norm = torch.linalg.matrix_norm(product, 2).log()
        torch.testing.assert_close(gain.log_spectral_norm[layer], norm)
        assert float(gain.identity_share[layer, 1, 1]) == pytest.approx(exact_share(product[1, 1]))
        product = product @ mixing[layer - 1] if layer else product


def test_exploding_mixing_beyond_what_a_float_holds():
    mixing = 3 * torch.eye(2).expand(1000, 2, 2)
    assert float(composite_gain(mixing).log_row_gain[0]) == pytest.approx(1000 * math.log(3))
