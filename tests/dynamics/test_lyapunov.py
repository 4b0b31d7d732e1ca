"""Lyapunov spectra against every case whose answer is known."""

import math

import pytest
import torch
from scipy.special import digamma

from gradscope.cells import CELLS
from gradscope.dynamics import (
    LyapunovSpectrum,
    adjoint_lyapunov_spectrum,
    largest_lyapunov_exponent,
    lyapunov,
    lyapunov_spectrum,
    step_jacobians,
    unroll,
)
from gradscope.errors import GradscopeError
from tests.conftest import build, draw
from tests.dynamics.conftest import repeated


@pytest.mark.parametrize("spectrum", [lyapunov_spectrum, adjoint_lyapunov_spectrum])
def test_linear_cell_has_the_logarithms_of_its_eigenvalues(spectrum):
    w = draw(6, 6)
    expected = torch.linalg.eigvals(w).abs().log().sort(descending=True).values
    found = spectrum(repeated(w, 6000), burn_in=1000)
    torch.testing.assert_close(found.exponents, expected, rtol=0, atol=5e-3)
    # complex pairs make the running value oscillate, their sum does not: it is ln|det W| from the
    # first step on
    assert found.exponents.sum() == pytest.approx(
        float(torch.linalg.slogdet(w).logabsdet), abs=1e-9
    )


@pytest.mark.parametrize("gain", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("interval", [None, 1, 7])
def test_orthogonal_with_gain(gain, interval):
    q, _ = torch.linalg.qr(draw(5, 5))
    found = lyapunov_spectrum(repeated(gain * q, 200), interval=interval)
    torch.testing.assert_close(
        found.exponents, torch.full((5,), math.log(gain), dtype=torch.float64), rtol=0, atol=1e-12
    )
    assert (found.standard_errors < 1e-12).all()


def test_products_of_gaussian_matrices_are_newmans():
    """lambda_i = ln g + (ln(2/N) + psi((N - i + 1)/2)) / 2 for iid N(0, g^2/N) entries (Newman
    1986).
    """
    n, gain, time = 5, 1.3, 20_000
    jacobians = gain / math.sqrt(n) * draw(time, 2, n, n)
    found = lyapunov_spectrum(jacobians)
    expected = [
        math.log(gain) + (math.log(2 / n) + digamma((n - i + 1) / 2)) / 2 for i in range(1, n + 1)
    ]
    for value, error, truth in zip(
        found.exponents.tolist(), found.standard_errors.tolist(), expected, strict=True
    ):
        assert 0 < error < 0.01
        assert abs(value - truth) < 4 * error


def test_autonomous_tanh_below_one_goes_by_its_eigenvalues():
    cell = build("rnn", 1, 8, bias=False)
    cell.weight_hh.data *= 0.9 / torch.linalg.eigvals(cell.weight_hh.detach()).abs().max()
    trace = unroll(cell, torch.zeros(4000, 1, 1, dtype=torch.float64), draw(1, 8))
    found = lyapunov_spectrum(trace, burn_in=1500)
    expected = (
        torch.linalg.eigvals(cell.weight_hh.detach()).abs().log().sort(descending=True).values
    )
    torch.testing.assert_close(found.exponents, expected, rtol=0, atol=5e-3)


# full_gate_lstm: its h is a function of its o and c, so J is singular without a zero row
@pytest.mark.parametrize("name", sorted(set(CELLS.names()) - {"full_gate_lstm"}))
def test_sum_is_the_mean_logarithm_of_the_determinant(name):
    trace = unroll(build(name), draw(300, 3, 3))
    expected = torch.linalg.slogdet(step_jacobians(trace)).logabsdet.mean(0)
    found = lyapunov_spectrum(trace, burn_in=0, interval=1)
    torch.testing.assert_close(found.finite_time.sum(-1), expected, rtol=0, atol=1e-9)
    found = lyapunov_spectrum(
        trace, burn_in=0
    )  # six digits are promised between two decompositions
    torch.testing.assert_close(found.finite_time.sum(-1), expected, rtol=1e-6, atol=1e-6)


def test_tanh_sum_in_closed_form():
    """ln|det W| + mean of sum_i ln phi'(u_i)."""
    cell = build("rnn")
    trace = unroll(cell, draw(200, 1, 3))
    slopes = (1 - trace.states[1:].detach() ** 2).log().sum(-1).mean()
    expected = torch.linalg.slogdet(cell.weight_hh.detach()).logabsdet + slopes
    assert lyapunov_spectrum(trace, burn_in=0).exponents.sum() == pytest.approx(float(expected))


def test_full_state_of_an_lstm_keeps_the_carousel():
    """With an open forget gate the largest exponent is that of the carousel; a product of h-h
    blocks alone misses it.
    """
    torch.manual_seed(0)
    cell = build("lstm", 3, 16)
    for parameter in cell.parameters():
        parameter.data.uniform_(-0.25, 0.25)
    cell.bias_ih.data[16:32] = 3.0
    trace = unroll(cell, draw(1500, 2, 3))
    full = lyapunov_spectrum(trace, k=1)
    blocks = lyapunov_spectrum(step_jacobians(trace)[..., :16, :16], k=1)
    assert -0.1 < full.exponents[0] < 0.05
    assert blocks.exponents[0] < -1


@pytest.mark.parametrize("k", [1, 3])
def test_first_exponents_are_those_of_the_whole(k):
    trace = unroll(build("gru", 3, 6), draw(800, 2, 3))
    torch.testing.assert_close(
        lyapunov_spectrum(trace, k=k).exponents,
        lyapunov_spectrum(trace).exponents[:k],
        rtol=0,
        atol=0.03,
    )


@pytest.mark.parametrize("name", CELLS.names())
def test_one_tangent_gives_the_first_exponent_of_every_cell(name):
    trace = unroll(build(name), draw(150, 3, 3))
    expected = lyapunov_spectrum(trace, k=1, burn_in=20, interval=1)
    found = largest_lyapunov_exponent(trace, burn_in=20)
    torch.testing.assert_close(found.finite_time, expected.finite_time, rtol=0, atol=1e-10)
    torch.testing.assert_close(
        found.standard_errors, expected.standard_errors, rtol=0, atol=1e-10, equal_nan=True
    )
    assert bool(expected.exponents.isfinite().all()) == (
        name != "indrnn"
    )  # whose relus are all dead at some step: J = 0
    if name != "indrnn":
        torch.testing.assert_close(found.series, expected.series, rtol=0, atol=1e-10)
    assert found.times == expected.times


def test_one_tangent_of_a_shift_is_minus_infinity():
    cell = build("rnn", 1, 4, activation="identity", bias=False)
    cell.weight_hh.data = torch.diag(torch.ones(3, dtype=torch.float64), -1)
    found = largest_lyapunov_exponent(unroll(cell, draw(60, 2, 1)), burn_in=0)
    assert found.exponents.tolist() == [-math.inf]
    assert not found.series.isnan().any()
    assert found.series[0].isfinite()


def test_interval_does_not_matter_while_it_is_safe():
    trace = unroll(build("lstm"), draw(400, 1, 3))
    every = lyapunov_spectrum(trace, interval=1, burn_in=100)
    auto = lyapunov_spectrum(trace, burn_in=100)
    torch.testing.assert_close(auto.exponents, every.exponents, rtol=0, atol=1e-6)
    assert auto.interval >= 1


def test_dead_units_are_minus_infinity_and_not_nan():
    cell = build("rnn", 3, 6, activation="relu")
    cell.bias_ih.data[:2] = -100.0
    found = lyapunov_spectrum(unroll(cell, draw(100, 1, 3)))
    assert (found.exponents[-2:] == -math.inf).all()
    assert not found.exponents.isnan().any()
    shift = torch.diag(torch.ones(3, dtype=torch.float64), -1)  # nilpotent: every exponent is -inf
    assert (lyapunov_spectrum(repeated(shift, 50), burn_in=0).exponents == -math.inf).any()


def test_series_ends_at_the_estimate_and_error_shrinks_with_time():
    trace = unroll(build("rnn", 3, 6), 2 * draw(4000, 1, 3))
    long, short = lyapunov_spectrum(trace), lyapunov_spectrum(step_jacobians(trace)[:400])
    torch.testing.assert_close(long.series[-1], long.exponents)
    assert long.times[-1] == 3600
    assert (long.standard_errors < short.standard_errors).all()


def test_kaplan_yorke_and_entropy():
    def spectrum(*exponents: float, size: int = 4) -> LyapunovSpectrum:
        values = torch.tensor(exponents, dtype=torch.float64)
        return LyapunovSpectrum(values, values, values[None], [1], values[None], 1, 0, size)

    chaotic = spectrum(0.9, 0.0, -14.5)
    assert chaotic.kaplan_yorke_dimension == pytest.approx(2 + 0.9 / 14.5)
    assert chaotic.entropy_rate == pytest.approx(0.9)
    assert spectrum(-0.1, -1.0).kaplan_yorke_dimension == 0
    assert spectrum(0.5, -math.inf).kaplan_yorke_dimension == 1
    assert math.isnan(spectrum(0.5, 0.1).kaplan_yorke_dimension)
    assert math.isnan(spectrum(0.5, math.nan).kaplan_yorke_dimension)
    assert spectrum(0.5, math.nan).entropy_rate == pytest.approx(0.5)


@pytest.mark.parametrize("exponents", [(0.3, 0.1, -0.1, -0.3), (0.1, 0.2, -0.3, 0.0), (0.5, 0.1)])
def test_a_map_that_keeps_volumes_has_the_dimension_of_its_state(exponents):
    """A sum of zero, as it comes out of floating point, is not below zero."""
    values = torch.tensor(exponents, dtype=torch.float64)
    size = len(exponents)
    spectrum = LyapunovSpectrum(values, values, values[None], [1], values[None], 1, 0, size)
    assert spectrum.kaplan_yorke_dimension == size


def test_errors_name_the_cause():
    jacobians = repeated(torch.eye(3), 20)
    with pytest.raises(GradscopeError, match=r"k should be 1\.\.3"):
        lyapunov_spectrum(jacobians, k=4)
    with pytest.raises(GradscopeError, match="burn-in of 20 steps leaves nothing"):
        lyapunov_spectrum(jacobians, burn_in=20)
    with pytest.raises(GradscopeError, match="interval should be at least 1"):
        lyapunov_spectrum(jacobians, interval=0)


@pytest.mark.parametrize("spectrum", [lyapunov_spectrum, adjoint_lyapunov_spectrum])
def test_few_exponents_of_a_long_state_need_no_jacobian(spectrum, monkeypatch):
    trace = unroll(build("gru", 3, 256), 0.1 * draw(30, 2, 3))
    dense = spectrum(step_jacobians(trace), k=3, interval=1)

    def jacobian(*_):
        raise AssertionError("a Jacobian was made")

    monkeypatch.setattr(type(trace.cell), "jacobian", jacobian)
    found = spectrum(trace, k=3, interval=1)
    torch.testing.assert_close(found.finite_time, dense.finite_time, rtol=0, atol=1e-9)
    torch.testing.assert_close(found.series, dense.series, rtol=0, atol=1e-9)
    torch.testing.assert_close(
        spectrum(trace, k=3).finite_time, dense.finite_time, rtol=0, atol=1e-6
    )


def test_without_jacobians_in_float32():
    cell, x = build("rnn", 3, 256), 0.1 * draw(60, 1, 3)
    cell.weight_hh.data *= 1.2 / torch.linalg.eigvals(cell.weight_hh.data).abs().max()
    exact = lyapunov_spectrum(unroll(cell, x), k=4)
    coarse = lyapunov_spectrum(unroll(cell.float(), x.float()), k=4)
    torch.testing.assert_close(coarse.exponents, exact.exponents, rtol=0, atol=1e-4)
    assert coarse.interval <= exact.interval


def test_all_exponents_of_a_state_that_is_too_long_are_refused(monkeypatch):
    monkeypatch.setattr(lyapunov, "_MOST", 2**10)
    trace = unroll(build("gru", 1, 16), draw(3, 2, 1))
    with pytest.raises(GradscopeError, match="16 exponents of a state of 16 take 0 MiB a step"):
        lyapunov_spectrum(trace)
