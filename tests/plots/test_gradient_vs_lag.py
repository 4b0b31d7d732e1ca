"""Gradient norm against lag."""

import math

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


def _with_theory(**spectra):
    lags = {"train_step": 5, "block": "state", "sequence": 0, "t": 2, "lag": [0, 1, 2]}
    return made(
        jacobian_norms={**lags, "log_spectral_norm": [0.0, -1.0, -2.0]},
        spectra={"train_step": 5, "kind": ["contraction_bound", "jacobian"], **spectra},
        mean_field={"train_step": 5, "rate": -9.0, "rate_predicted": [-0.75]},
    )


def test_the_bound_and_mean_field_theory_are_lines_through_0():
    tables = _with_theory(log_value=[-0.5, 7.0])
    figure = GradientVsLag().figure(tables)
    drawn = {line.get_marker() + line.get_linestyle(): line for line in figure.axes[0].lines}
    by_end = {float(line.get_ydata()[-1]) for line in figure.axes[0].lines}
    assert {-2.0, -1.0, -1.5} <= by_end  # measured, the bound at lag 2, mean field theory at lag 2
    assert drawn
    [legend] = figure.legends
    said = [text.get_text() for text in legend.get_texts()]
    assert said == ["a", "contraction bound", "mean field theory"]
    caption = GradientVsLag().caption(tables)
    assert "cannot exceed" in caption
    assert "by mean field theory" in caption


def test_without_theory_nothing_is_said_of_it(tiny):
    tables = _with_theory(log_value=[-math.inf, 7.0])
    assert "cannot exceed" not in GradientVsLag().caption(tables)
