"""Mean field theory against measurement."""

import math

import pytest

from gradscope.plots.mean_field import MeanFieldPlot
from tests.plots.conftest import made


def _figure(predicted):
    measured = dict.fromkeys(["chi", "gain", "added_variance", "q", "q_predicted"], 1.0)
    return MeanFieldPlot().figure(
        made(
            mean_field={
                "seed": [0, 0, 1, 1],
                "train_step": [0, 5, 0, 5],
                "rate": [0.0, -1.0, 0.0, -3.0],
                **measured,
                "chi_predicted": 1.0,
                "rate_predicted": predicted,
            }
        )
    )


def _circles(figure):
    return [line for line in figure.axes[0].lines if line.get_marker() == "o"]


def test_lines_are_measured_and_circles_predicted():
    figure = _figure([0.5, -0.5, 0.7, -0.7])
    line, *_ = figure.axes[0].lines
    assert line.get_ydata().tolist() == [0.0, -2.0]
    (circles,) = _circles(figure)
    assert circles.get_ydata().tolist() == pytest.approx([0.6, -0.6])
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["a", "by mean field theory"]


def test_a_cell_that_the_theory_does_not_know_has_no_circles():
    figure = _figure(math.nan)
    assert not any(len(circle.get_xdata()) for circle in _circles(figure))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a"]
