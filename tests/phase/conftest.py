"""A phase diagram with known answers, made by hand."""

import pandas as pd
import pytest

from gradscope.phase.measure import Theory


@pytest.fixture
def frame() -> pd.DataFrame:
    """Largest exponent gain - 1 - seed / 10 without input, and half of it with; two seeds."""
    rows = [
        {
            "gain": gain,
            "input_variance": variance,
            "seed": seed,
            "index": index,
            "exponent": factor * (gain - 1 - seed / 10) - index,
            "standard_error": 0.01,
            "log_spectral_radius": float("nan"),
            "mean_field_exponent": factor * 2 * (gain - 1.2),
        }
        for variance, factor in ((0.0, 1.0), (0.5, 0.5))
        for gain in (0.5, 1.0, 1.5, 2.0)
        for seed in (0, 1)
        for index in (0, 1)
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def theory() -> Theory:
    """Straight lines, critical at 1.2."""
    gains = [0.5, 1.0, 2.0]
    curves = [(g, v, f * 2 * (g - 1.2)) for v, f in ((0.0, 1.0), (0.5, 0.5)) for g in gains]
    return Theory(
        pd.DataFrame(curves, columns=["gain", "input_variance", "mean_field_exponent"]),
        pd.DataFrame({"input_variance": [0.0, 0.5], "gain": [1.2, 1.2]}),
    )
