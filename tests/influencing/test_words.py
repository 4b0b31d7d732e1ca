"""An influence in words."""

import numpy as np
import pytest

from gradscope.dynamics import InfluenceProfile
from gradscope.influencing import _words

LAGS = np.arange(80)


def profile_of(base, noise=0.02):
    random = np.random.default_rng(0)
    return InfluenceProfile.of(
        np.arange(len(base)), base + noise * random.normal(size=(4, 2, 6, len(base)))
    )


@pytest.mark.parametrize(
    ("base", "words"),
    [
        (-LAGS / 9, "exponential, a factor e in 9 "),
        (-0.7 * np.log1p(LAGS), r"power law (1 + lag)^-α, α = 0.7"),
        (-((LAGS / 3) ** 0.4), "stretched exponential, exponent 0.399"),
        (0 * LAGS, "no fall from lag 1 to 79"),
        (np.where(LAGS < 40, 0.0, -6.0), "with steps that no law explains"),
        (np.where(LAGS < 1, 0.0, -np.inf), "exactly zero from lag 1 on"),
        (np.where(LAGS < 3, 0.0, -np.inf), "too few lags for a law; exactly zero from lag 3 on"),
        (np.where(LAGS < 30, -LAGS / 5, -np.inf), "exactly zero from lag 30 on"),
        (
            np.where(LAGS < 30, 0.0, -np.inf),
            "no law of decay from lag 1 on; exactly zero from lag 30 on",
        ),
        (-LAGS / 9, "power < 0.001; from lag 1 on"),
        (-LAGS[:3] / 2, "too few lags for a law"),
    ],
)
def test_how_it_falls(base, words):
    assert words in _words.decay(profile_of(base))


def test_certainty():
    assert "standard error over examples 0.0" in _words.errors(profile_of(-LAGS / 9))
    alone = InfluenceProfile.of(LAGS, np.zeros((1, 1, 1, 80)))
    assert "there is one value for each lag" in _words.errors(alone)


def test_all_zero():
    nothing = profile_of(np.full(80, -np.inf))
    assert _words.measures(nothing) == [("all lags", "exactly zero")]


def test_the_future():
    found = InfluenceProfile.of(np.arange(-3, 4), np.zeros((1, 1, 4, 7)))
    assert _words.lags(found) == "lags 0 to 3, and 3 steps after the output"
    assert ("future", "43% of the influence") in _words.measures(found)
