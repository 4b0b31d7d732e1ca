"""Estimates of exponents: their intervals, and blocks."""

import math

import pytest
import torch
from scipy import stats

from gradscope.dynamics import LyapunovSpectrum, lyapunov_spectrum
from gradscope.dynamics.exponents import block_ends
from tests.conftest import draw


def test_intervals_are_students():
    found = lyapunov_spectrum(draw(200, 3, 2, 2), k=1, blocks=4, interval=1)
    assert found.rates is not None
    rates = found.rates[..., 0].flatten().numpy()
    assert len(rates) == 12
    half = stats.t.ppf(0.975, 11) * stats.sem(rates)
    low, high = found.intervals[0].tolist()
    centre = float(found.exponents[0])
    assert (low, high) == (pytest.approx(centre - half), pytest.approx(centre + half))
    of_one = found.rates[:, 1, 0].numpy()
    half = stats.t.ppf(0.975, 3) * stats.sem(of_one)
    assert float(found.sequence_intervals[1, 0, 1]) == pytest.approx(of_one.mean() + half)


def test_one_rate_has_no_interval():
    found = lyapunov_spectrum(draw(20, 1, 2, 2), blocks=1)
    assert found.intervals.isnan().all()
    values = torch.ones(2, dtype=torch.float64)
    bare = LyapunovSpectrum(values, values, values[None], [1], values[None], 1, 0, 2)
    assert bare.intervals.isnan().all()
    assert bare.sequence_intervals.shape == (1, 2, 2)


@pytest.mark.parametrize(("steps", "blocks", "ends"), [(10, 2, [5, 10]), (3, 10, [1, 2, 3])])
def test_blocks_end_where_they_should(steps, blocks, ends):
    assert block_ends(steps, blocks) == ends


@pytest.mark.slow
def test_intervals_cover():
    """Of independent random matrices blocks are independent: 95% of intervals hold the truth."""
    truth = (math.log(2 / 2) + float(torch.digamma(torch.tensor(1.0, dtype=torch.float64)))) / 2
    count = 300
    steps = draw(400, count, 2, 2) / math.sqrt(2)
    found = lyapunov_spectrum(steps, k=1)
    low, high = found.sequence_intervals[:, 0].unbind(-1)
    covered = int(((low < truth) & (truth < high)).sum())
    assert stats.binomtest(covered, count, 0.95).pvalue > 1e-3
