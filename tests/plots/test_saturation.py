"""Saturated units and gates."""

import pytest

from gradscope.plots.saturation import SaturationPlot
from gradscope.results.words import RECORDINGS
from tests.plots.conftest import made


def _tables(low, high, *words):
    return made(
        *words,
        saturation={
            "configuration": ["a", "a", "a", "b"],
            "seed": [0, 1, 0, 0],
            "train_step": 5,
            "gate": ["f", "f", "i", "h"],
            "low": low,
            "high": high,
            "mean": 0.5,
        },
    )


def test_shares_are_means_over_seeds():
    data = SaturationPlot().data(_tables([0.2, 0.4, 0.0, 0.0], [0.1, 0.3, 0.0, 1.0]))
    assert data["low"].tolist() == pytest.approx([0.3, 0.0, 0.0])
    assert data["high"].tolist() == pytest.approx([0.2, 0.0, 1.0])


def test_bars_are_stacked_and_configurations_apart():
    figure = SaturationPlot().figure(_tables([0.2, 0.4, 0.0, 0.0], [0.1, 0.3, 0.0, 1.0]))
    (panel,) = figure.axes
    low, high = panel.containers
    assert [bar.get_width() for bar in low] == pytest.approx([0.3, 0.0, 0.0])
    assert [bar.get_x() for bar in high] == pytest.approx([0.3, 0.0, 0.0])
    names = [text.get_text() for text in panel.get_yticklabels()]
    assert names == ["a   f", "a   i", "b   h"]
    (border,) = panel.lines
    assert border.get_ydata() == [1.5, 1.5]
    assert not panel.texts


@pytest.mark.parametrize(
    ("share", "said"),
    [(0.0, "no unit at any step is"), (0.004, "at most 0.004 of units and steps are")],
)
def test_bars_that_nobody_sees_are_told_of(share, said):
    tables = _tables([share] * 4, [0.0] * 4, RECORDINGS)
    assert SaturationPlot().in_words(tables) == (
        f"No gate is saturated: {said} where the activation is flat."
    )
    figure = SaturationPlot().figure(tables)
    assert [text.get_text() for text in figure.axes[0].texts] == [f"{said} saturated"]
