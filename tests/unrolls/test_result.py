"""What a result says, as numbers, in words and in a notebook."""

import math

import numpy as np
import pytest
import torch

import gradscope


def flowing(found):
    """Its words without line breaks."""
    return " ".join(repr(found).split())


def test_a_row_for_each_horizon_and_start(chaotic):
    frame = chaotic.to_frame()
    assert frame["horizon"].tolist() == chaotic.horizons == [0, *range(1, 11), 13, 16, 20, 25, 30]
    assert frame["log_norm"].is_monotonic_increasing
    assert frame["sign_agreement"].iloc[1] > 0.95 > frame["sign_agreement"].iloc[-1]
    starts = chaotic.to_frame(per_start=True)
    assert len(starts) == 16 * 200
    part = starts[(starts["horizon"] == 13) & (starts["start"] == 7)]
    assert part["log_norm"].item() == chaotic.log_norms[11, 7]


def test_every_estimate_has_its_interval(chaotic):
    for estimate in (*chaotic.norm[1:], *chaotic.sign_agreement, chaotic.lyapunov_exponent):
        assert estimate.low <= estimate.centre <= estimate.high
    assert chaotic.longest == 30
    assert chaotic.starts == 200


def test_growth_is_that_of_the_map(chaotic):
    assert chaotic.growth_rate.centre == pytest.approx(math.log(2), abs=0.06)


def test_below_rounding():
    found = gradscope.horizon(lambda s: 0.01 * s, torch.ones(2, 2, dtype=torch.float64), 20)
    assert found.rounding_horizon == 8  # 0.01^8 = 1e-16
    assert "below rounding of the first from T = 8 on" in flowing(found)


def test_words(chaotic, fading, dead):
    text = flowing(chaotic)
    assert "by the initial state (1 number), 200 starts" in text
    assert "trusted horizon" in text
    assert "nats a step" in text
    assert "> " in repr(fading)
    assert "exactly zero at T = 5 and beyond" in flowing(dead)
    assert max(map(len, repr(chaotic).splitlines())) <= 100


def test_a_notebook_shows_words_figure_and_table(chaotic, dead):
    for found in (chaotic, dead):
        html = found._repr_html_()
        assert html.count("<img") == 1
        assert "sign agreement" in html
        assert "<table" in html
        assert "nan nan" not in html


def test_signal_to_noise_of_starts_that_are_alike(fading):
    """Of a linear map the gradient is the same everywhere."""
    assert np.isinf(fading.signal_to_noise).all()
    assert (fading.log_variance == -math.inf).all()
