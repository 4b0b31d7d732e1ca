"""Trusted horizons and truncations of counts whose answer is known."""

import math

import numpy as np
import pytest

from gradscope.unrolls._trust import chosen_truncation, shares, trusted

HORIZONS = [0, 1, 2, 5, 10, 20, 50, 100]


def counts(chances, starts=200, seed=0):
    """(agreed, known) of starts whose sign agrees with these chances."""
    generator = np.random.default_rng(seed)
    drawn = generator.random((len(chances), starts)) < np.array(chances)[:, None]
    return drawn.astype(float), np.ones_like(drawn, dtype=float)


def test_the_last_horizon_before_chance():
    agreed, known = counts([1, 1, 1, 0.95, 0.8, 0.5, 0.5, 0.5])
    found = trusted(HORIZONS, agreed, known)
    assert (found.centre, found.censored) == (10, False)
    assert found.low <= 10
    assert found.high >= 20


def test_the_first_loss_counts():
    agreed, known = counts([1, 1, 1, 0.5, 1, 1, 0.5, 0.5])
    assert trusted(HORIZONS, agreed, known).centre == 2


def test_a_sign_that_is_right_to_the_end_is_censored():
    agreed, known = counts([1] * 8)
    found = trusted(HORIZONS, agreed, known)
    assert (found.centre, found.high, found.censored) == (100, math.inf, True)


def test_horizons_at_which_nothing_is_known_say_nothing():
    agreed, known = counts([1] * 8)
    known[5:], agreed[5:] = 0, 0
    found = trusted(HORIZONS, agreed, known)
    assert (found.centre, found.censored) == (10, True)
    assert math.isnan(trusted(HORIZONS, 0 * agreed, 0 * known).centre)


def test_a_sign_that_is_never_right_is_trusted_nowhere():
    agreed, known = counts([0.5] * 8)
    found = trusted(HORIZONS, agreed, known)
    assert (found.centre, found.censored) == (0, False)


@pytest.mark.slow
def test_the_interval_covers():
    """Chances fall steadily; the horizon found in ten thousand starts stands for the truth."""
    chances = [1, 1, 0.95, 0.9, 0.8, 0.65, 0.5, 0.5]
    inside = 0
    for seed in range(200):
        found = trusted(HORIZONS, *counts(chances, 200, seed))
        inside += found.low <= 20 <= found.high
    assert inside >= 180


def test_truncation_by_sign():
    signs = shares(*counts([1, 1, 1, 1, 0.85, 0.6, 0.5, 0.5], 1000))
    found = chosen_truncation(HORIZONS, signs, np.linspace(0, 9, 8), 0.1)
    assert found.steps == 10
    assert "at 20 steps" in found.reason
    assert "±0.1" in found.reason
    assert str(found).startswith("10 steps: ")


def test_truncation_by_size():
    signs = shares(*counts([1] * 8))
    found = chosen_truncation(HORIZONS, signs, np.array([0, -1, -2, -3, -4, -5, -6, -np.inf]), 0.1)
    assert found.steps == 10
    assert "from 20 steps on" in found.reason


def test_no_truncation():
    signs = shares(*counts([1] * 8))
    found = chosen_truncation(HORIZONS, signs, np.zeros(8), 0.1)
    assert found.steps is None
    assert str(found).startswith("none: up to 100 steps")
