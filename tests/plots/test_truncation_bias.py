"""What truncation makes of the gradient."""

import pytest

from gradscope.plots.truncation_bias import TruncationBiasPlot
from tests.plots.conftest import made


def _tables(**columns):
    return made(
        truncation_bias={
            "train_step": [0, 5, 5],
            "kind": ["sliding", "chunk", "sliding"],
            "tbptt_length": [2, 2, 4],
            "norm_ratio": [0.1, 0.5, 0.9],
            "cosine": 1.0,
            "sign_agreement": 1.0,
            **columns,
        }
    )


def test_the_last_measurement_is_shown():
    assert TruncationBiasPlot().data(_tables())["norm_ratio"].tolist() == [0.5, 0.9]


def test_that_before_training_is_where_there_is_no_other():
    assert len(TruncationBiasPlot().data(_tables(train_step=0))) == 3


@pytest.mark.parametrize(
    ("kinds", "rows"), [("sliding", ["sliding"]), (["x", "chunk", "sliding"], ["sliding", "chunk"])]
)
def test_a_row_for_each_kind(kinds, rows):
    figure = TruncationBiasPlot().figure(_tables(kind=kinds))
    assert [ax.get_title() for ax in figure.axes[::3]] == rows
    assert [ax.get_xscale() for ax in figure.axes] == ["log"] * len(figure.axes)


def test_a_star_is_the_gradient_that_the_training_used():
    tables = _tables(train_step=0, kind=["sliding", "sliding", "trained"])
    figure = TruncationBiasPlot().figure(tables)
    assert [len(ax.get_lines()) for ax in figure.axes] == [3, 3, 3]
    assert "A star is" in TruncationBiasPlot().caption(tables)
    assert "A star is" not in TruncationBiasPlot().caption(_tables())
