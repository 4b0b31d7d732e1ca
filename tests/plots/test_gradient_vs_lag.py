"""Gradient norm against lag."""

import pytest

from gradscope.plots.gradient_vs_lag import GradientVsLag
from tests.plots.conftest import made


def test_it_shows_what_was_recorded(tiny):
    data = GradientVsLag().data(tiny)
    raw = tiny["jacobian_norms"]
    row = data.query(
        "configuration == 'LSTM · none' and lag == 3 and when == 'before training' and seed == 1"
    ).iloc[0]
    source = raw[
        (raw["trial"] == row["trial"])
        & (raw["t"] == 12)
        & (raw["k"] == 9)
        & (raw["block"] == "state")
        & (raw["train_step"] == 0)
    ]
    assert source["log_spectral_norm"].tolist() == [row["log_spectral_norm"]]
    assert (data["lag"] >= 0).all()


@pytest.mark.parametrize(("block", "norms"), [("state", [-1.0, -2.0]), ("hidden", [-3.0])])
def test_from_each_trials_last_step_back(block, norms):
    tables = made(
        jacobian_norms={
            "train_step": 5,
            "block": ["state", "state", "state", "hidden"],
            "sequence": 0,
            "t": [4, 4, 3, 4],
            "lag": [0, 1, 0, 0],
            "log_spectral_norm": [-1.0, -2.0, 9.0, -3.0],
        }
    )
    plot = GradientVsLag(block=block)
    assert plot.data(tables)["log_spectral_norm"].tolist() == norms
    part = "full" if block == "state" else "hidden"
    assert f"of the last {part} state" in plot.caption(tables)
