"""Quantities keep their log scale to the end: sizes of 1e-30 to 1e30, and far beyond over time."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from gradscope.dynamics import (
    adjoint_lyapunov_spectrum,
    adjoints,
    gate_contributions,
    gradient,
    jacobian_log_norms,
    lag_contributions,
    largest_lyapunov_exponent,
    lyapunov_spectrum,
    path_contributions,
    singular_value_spectrum,
    step_jacobians,
    truncation_bias,
    unroll,
)
from gradscope.dynamics.scaled import Adjoints
from tests.conftest import build, draw

DTYPES = [torch.float32, torch.float64]


# --- by a closed form -----------------------------------------------------------------------------


@given(
    log10=st.floats(-30, 30),
    size=st.integers(1, 6),
    dtype=st.sampled_from(DTYPES),
    interval=st.sampled_from([None, 1, 13, 200]),
    seed=st.integers(0, 50),
)
def test_rotations_of_any_size(log10, size, dtype, interval, seed):
    rotations = torch.linalg.qr(draw(60, 2, size, size, seed=seed))[0]
    steps = (10**log10 * rotations).to(dtype)
    expected = math.log(10) * log10
    within = 1e-11 if dtype == torch.float64 else 1e-6
    for spectrum in (lyapunov_spectrum, adjoint_lyapunov_spectrum):
        exponents = spectrum(steps, interval=interval).exponents
        torch.testing.assert_close(
            exponents, torch.full_like(exponents, expected), rtol=within, atol=within
        )
    values = singular_value_spectrum(steps, 60, 0)
    torch.testing.assert_close(
        values, torch.full_like(values, 60 * expected), rtol=within, atol=60 * within
    )
    norms = jacobian_log_norms(steps, lags=[0, 1, 60])[0]
    torch.testing.assert_close(
        norms, expected * torch.tensor([0.0, 1.0, 60.0]).double()[:, None].expand(3, 2),
        rtol=within, atol=60 * within,
    )  # fmt: skip


@given(log10=st.floats(-30, 30), gap=st.floats(0, 60), seed=st.integers(0, 20))
def test_two_rates_of_any_size_and_gap(log10, gap, seed):
    """diag(1, e^-gap) turned into any basis, and so of any size: the exponents are its own."""
    assume(gap == 0 or gap > 0.25)  # directions nearer to each other turn in after the burn-in
    basis = torch.linalg.qr(draw(2, 2, seed=seed))[0]
    expected = math.log(10) * log10 + torch.tensor([0.0, -gap], dtype=torch.float64)
    steps = (basis @ torch.diag(expected.exp()) @ basis.mT).expand(80, 1, 2, 2)
    exponents = lyapunov_spectrum(steps, burn_in=40).exponents
    if gap < 25:
        torch.testing.assert_close(exponents, expected, rtol=1e-7, atol=1e-5)
    else:  # the smaller one is within rounding of the entries, or nearly
        assert float(exponents[0]) == pytest.approx(float(expected[0]), abs=1e-6)
        known = float(exponents[1])
        assert math.isnan(known) or known == pytest.approx(float(expected[1]), abs=1.0)


@pytest.mark.parametrize("log10", [-30, -10, 0, 10, 30])
def test_one_tangent_of_any_size(log10):
    """A linear unit in float32, whose state would overflow if it were not at rest."""
    cell = build("rnn", 1, 1, activation="identity").float()
    with torch.no_grad():
        cell.weight_hh.fill_(10.0**log10)
        cell.weight_ih.zero_()
        cell.bias_ih.zero_()
        cell.bias_hh.zero_()
    trace = unroll(cell, torch.zeros(100, 2, 1))
    expected = pytest.approx(math.log(10) * log10, abs=1e-5)
    assert largest_lyapunov_exponent(trace).exponents.tolist() == [expected]
    assert lyapunov_spectrum(trace).exponents.tolist() == [expected]


# --- against plain loops in float64, at the states that float32 went through ----------------------


def exploding(gain=3.0, time=300):
    """A chaotic tanh network in float32, whose gradients grow beyond what float32 holds."""
    cell = build("rnn", 3, 30).float()
    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        cell.weight_hh.copy_(torch.randn(30, 30, generator=generator) * gain / 30**0.5)
        cell.bias_ih.zero_()
        cell.bias_hh.zero_()
    trace = unroll(cell, 0.1 * draw(time, 2, 3).float(), draw(2, 30, seed=5).float())
    return trace, trace.states[-1].square().sum(-1)[None]


def by_loop(trace):
    """(ln of the scale, G_lag for W_hh in float64 over that scale), lag by lag, by hand.

    a_{k-1} = W^T (phi'(u_k) a_k), and G_lag is (phi'(u_k) a_k) h_{k-1}^T summed over sequences.
    """
    weight = trace.cell.weight_hh.detach().double().numpy()
    states = trace.states.detach().double().numpy()
    inputs = trace.inputs.double().numpy()
    weight_in = trace.cell.weight_ih.detach().double().numpy()
    adjoint, scale, parts = 2 * states[-1], 0.0, []
    for k in range(len(inputs), 0, -1):
        u = states[k - 1] @ weight.T + inputs[k - 1] @ weight_in.T
        delta = adjoint / np.cosh(u) ** 2
        parts.append((scale, delta.T @ states[k - 1]))
        adjoint = delta @ weight
        size = np.abs(adjoint).max()
        adjoint, scale = adjoint / size, scale + np.log(size)
    return parts


@pytest.mark.parametrize("gain", [0.2, 5.0])
def test_lag_contributions_beyond_the_range_of_float32(gain):
    """Over more than e^88, from lag 0 to the last, up or down."""
    trace, losses = exploding(gain)
    ours = lag_contributions(trace, losses, parameter="weight_hh")
    parts = by_loop(trace)
    top = max(scale + np.log(np.linalg.norm(part)) for scale, part in parts)
    scaled = [part * np.exp(scale - top) for scale, part in parts]
    full = sum(scaled)
    norms = [scale + np.log(np.linalg.norm(part)) for scale, part in parts]
    dots = np.array([np.sum(part * full) for part in scaled])
    assert abs(norms[-1] - norms[0]) > 88
    np.testing.assert_allclose(ours.log_norms.numpy(), norms, atol=5e-3)
    np.testing.assert_allclose(
        ours.shares.numpy(), dots.cumsum() / np.sum(full**2), rtol=5e-3, atol=1e-4
    )
    cosines = [
        np.sum(part * full) / np.linalg.norm(part) / np.linalg.norm(full) for _, part in parts
    ]
    np.testing.assert_allclose(ours.cosines.numpy(), cosines, atol=5e-3)


@pytest.mark.parametrize("kind", ["sliding", "chunk"])
@pytest.mark.parametrize("gain", [0.2, 5.0])
def test_truncation_bias_beyond_the_range_of_float32(gain, kind):
    trace, losses = exploding(gain)
    lengths = [1, 10, 100, 300]
    ours = truncation_bias(trace, losses, lengths, kind=kind, parameter="weight_hh")
    parts = by_loop(trace)  # one loss at the end: both kinds keep the lags below the length
    top = max(scale + np.log(np.linalg.norm(part)) for scale, part in parts)
    scaled = [part * np.exp(scale - top) for scale, part in parts]
    full = sum(scaled)
    for index, length in enumerate(lengths):
        kept = sum(scaled[:length])
        ratio = np.linalg.norm(kept) / np.linalg.norm(full)
        cosine = np.sum(kept / np.abs(kept).max() * full) / (
            np.linalg.norm(kept / np.abs(kept).max()) * np.linalg.norm(full)
        )
        assert float(ours.norm_ratios[index]) == pytest.approx(ratio, rel=1e-2)
        assert float(ours.cosines[index]) == pytest.approx(cosine, abs=5e-3)
    assert ours.sign_agreement.isfinite().all()
    assert float(ours.sign_agreement[-1]) == 1


def test_gates_and_paths_beyond_the_range_of_float32():
    trace, losses = exploding()
    for part in gate_contributions(trace, losses).values():
        expected = adjoints(trace, losses).log_norms()[0]
        torch.testing.assert_close(part.log_norms()[0], expected, rtol=0, atol=1e-3)
    (norms,) = path_contributions(trace, losses, parameter="weight_hh").log_norms.values()
    torch.testing.assert_close(
        norms, lag_contributions(trace, losses, parameter="weight_hh").log_norms
    )


@pytest.mark.parametrize("log_size", [-300.0, 0.0, 300.0])
def test_losses_recorded_on_a_scale(log_size):
    """An immediate gradient far from 1 changes every gradient by its size, and no share of it."""
    trace, losses = exploding(0.9, 30)
    (given_gradient,) = torch.autograd.grad(losses.sum(), trace.states)
    plain = trace.with_losses_of(Adjoints(given_gradient))
    scale = torch.full(given_gradient.shape[:2], log_size, dtype=torch.float64)
    shifted = trace.with_losses_of(Adjoints(given_gradient, scale))
    first, second = lag_contributions(plain), lag_contributions(shifted)
    torch.testing.assert_close(second.log_norms - log_size, first.log_norms, rtol=0, atol=1e-4)
    torch.testing.assert_close(second.shares, first.shares, rtol=0, atol=1e-5)
    for tbptt in ((5, 5), (7, 2)):
        torch.testing.assert_close(
            adjoints(shifted, tbptt=tbptt).log_norms() - log_size,
            adjoints(plain, tbptt=tbptt).log_norms(),
            rtol=0,
            atol=1e-4,
        )
    bias, again = truncation_bias(plain, lengths=[3]), truncation_bias(shifted, lengths=[3])
    torch.testing.assert_close(again.norm_ratios, bias.norm_ratios, rtol=1e-4, atol=0)


def test_truncated_gradients_of_a_single_loss_are_those_of_its_window():
    """Every window but the last has no loss; the result is that of all windows by hand."""
    trace, losses = exploding(0.9, 40)
    ours = gradient(trace, losses, tbptt=(40, 1))
    torch.testing.assert_close(
        ours["weight_hh"], gradient(trace, losses)["weight_hh"], rtol=1e-4, atol=1e-6
    )
    short = gradient(trace, losses, tbptt=(10, 1))["weight_hh"]
    lags = lag_contributions(trace, losses, tensors=True).tensors["weight_hh"]
    torch.testing.assert_close(short, lags[:10].sum(0), rtol=1e-4, atol=1e-6)


def test_jacobians_that_a_trace_makes_need_no_batch_axis_to_be_the_same():
    trace, _ = exploding(0.9, 20)
    steps = step_jacobians(trace)
    torch.testing.assert_close(
        lyapunov_spectrum(steps[:, 0]).exponents, lyapunov_spectrum(steps[:, :1]).exponents
    )
