"""Tested at other lengths."""

import pytest

from gradscope.plots.other_lengths import OtherLengths
from tests.plots.conftest import made


@pytest.fixture
def tables():
    return made(
        lengths={
            "test_length": [4, 8, 16],
            "loss": [0.1, 0.2, 0.6],
            "baseline": [0.2, 0.4, 0.6],
            "wrong_fraction": [0.0, 0.25, 1.0],
        }
    )


def test_accuracy_and_loss_over_baseline(tables):
    data = OtherLengths().data(tables)
    assert data["accuracy"].tolist() == [1.0, 0.75, 0.0]
    assert data["loss_over_baseline"].tolist() == pytest.approx([0.5, 0.5, 1.0])


def test_the_length_of_training_is_dashed_and_those_of_the_test_are_ticks(tables):
    left, right = OtherLengths().figure(tables).axes
    for panel in (left, right):
        assert [text.get_text() for text in panel.get_xticklabels()] == ["4", "8", "16"]
        dashed = [line for line in panel.lines if line.get_linestyle() == "--"]
        assert dashed[0].get_xdata() == [8, 8]
    assert left.get_ylim() == (-0.03, 1.03)
