"""Words for numbers of any size."""

import math

import pytest

from gradscope.dynamics import memory_horizon
from gradscope.results.statistics import Estimate
from gradscope.unrolls._words import (
    Said,
    as_text,
    of_exponent,
    of_memory,
    of_norms,
    of_signs,
    of_trusted,
)


@pytest.mark.parametrize(
    ("exponent", "words"),
    [
        (Estimate(0.5, 0.4, 0.6), "0.5 nats a step (0.4 to 0.6): grows by e in 2 steps"),
        (Estimate(-0.1, -0.2, -0.05), "-0.1 nats a step (-0.2 to -0.05): shrinks by e in 10 steps"),
        (Estimate(0.01, -0.1, 0.1), "0.01 nats a step (-0.1 to 0.1): neither grows nor shrinks"),
        (Estimate(-math.inf), "−∞: nothing passes"),
        (Estimate(math.nan), "not known"),
    ],
)
def test_exponents(exponent, words):
    assert of_exponent(exponent).startswith(words)


def test_norms():
    far = [Estimate(0.0), Estimate(-1800.0)]
    assert of_norms([0, 50], far) == "× e^-1800 from T = 0 to 50 (median over starts)"
    assert of_norms([0, 50], [Estimate(0.0), Estimate(-math.inf)]).startswith("exactly zero at T =")
    assert of_norms([0], [Estimate(-math.inf)]) == "exactly zero at every horizon"
    assert of_norms([3], [Estimate(0.0)]) == "1 at T = 3 (median over starts)"


def test_signs_and_trust():
    assert of_signs([0, 1], [Estimate(math.nan)] * 2, 0.1).startswith("not known")
    assert of_trusted(Estimate(math.nan)).startswith("not known")
    assert of_trusted(Estimate(1000.0, 1000.0, math.inf, censored=True)) == "> 1,000 steps"
    assert of_trusted(Estimate(20, 10, math.inf)) == "20 steps (10 to ∞)"


def test_memory_is_said_of_what_falls():
    lags = range(30)
    assert of_memory(memory_horizon(lags, [-lag / 5 for lag in lags]), None).startswith("sunk by e")
    assert of_memory(memory_horizon(lags, [lag / 5 for lag in lags]), None) == ""
    assert of_memory(None, 7) == "below rounding of the first from T = 7 on"


def test_a_text_keeps_its_column():
    text = as_text("A title", [Said("a", "word " * 40), Said("longer", "x")], ["so it is"])
    lines = text.splitlines()
    assert lines[1].startswith("  a       word")
    assert lines[2].startswith("          word")
    assert lines[-1] == "  Note: so it is"
