"""Per-step gradient norms."""

import math

import numpy as np
import pytest

from gradscope.plots.adjoint_norms import AdjointNorms
from gradscope.results.words import RECORDINGS, SWEEP
from tests.plots.conftest import made


def _tables(words=SWEEP, **columns):
    return made(
        words,
        adjoint_norms={
            "train_step": 5,
            "block": ["state", "state", "hidden", "state", "state"],
            "tbptt_length": [0, 0, 0, 2, 2],
            "tbptt_stride": [0, 0, 0, 2, 2],
            "t": [1, 2, 2, 1, 2],
            "time": 2,
            "log_norm": [-1.0, 0.0, 7.0, -math.inf, 0.0],
            **columns,
        },
    )


def test_the_full_state_is_shown_full_and_truncated():
    data = AdjointNorms().data(_tables())
    assert data["gradient"].tolist() == ["full", "full", "truncated", "truncated"]
    assert data["to_end"].tolist() == [-1, 0, -1, 0]
    assert data["log_norm"].tolist() == [-1.0, 0.0, -math.inf, 0.0]


def test_a_row_for_each_gradient_and_triangles_for_the_full_one_only():
    figure = AdjointNorms().figure(_tables(log_norm=[-math.inf, 0.0, 7.0, -math.inf, 0.0]))
    full, truncated = figure.axes
    assert [ax.get_title() for ax in figure.axes] == [
        "end of training, full",
        "end of training, truncated",
    ]
    markers = [[line.get_marker() for line in ax.lines] for ax in (full, truncated)]
    assert "v" in markers[0]
    assert "v" not in markers[1]
    assert np.allclose(full.get_ylim(), truncated.get_ylim())


@pytest.mark.parametrize("words", [SWEEP, RECORDINGS])
def test_truncation_is_told_of_where_there_is_one(words):
    assert f"the {words.one}'s TBPTT" in AdjointNorms().caption(_tables(words))
    assert "TBPTT" not in AdjointNorms().caption(_tables(words, tbptt_length=0))


def test_norms_are_relative_to_the_last_step_that_a_loss_reaches():
    tables = _tables(
        block="state", tbptt_length=0, tbptt_stride=0, t=[0, 1, 2, 3, 4], time=4,
        log_norm=[-math.inf, -5.0, -3.0, -2.0, -math.inf],
    )  # fmt: skip
    assert AdjointNorms().data(tables)["shown"].tolist() == [-math.inf, -3.0, -1.0, 0.0, -math.inf]
    itself = AdjointNorms(relative=False).data(tables)
    assert itself["shown"].tolist() == itself["log_norm"].tolist()


def test_a_gradient_that_reaches_nothing_stays_at_zero():
    nothing = _tables(log_norm=[-math.inf] * 5)
    assert set(AdjointNorms().data(nothing)["shown"]) == {-math.inf}
