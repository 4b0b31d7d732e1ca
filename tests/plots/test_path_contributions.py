"""The gradient by path and by gate."""

import math

import numpy as np

from gradscope.plots.path_contributions import PathContributionsPlot
from tests.plots.conftest import made


def test_paths_above_and_gates_below():
    tables = made(
        path_contributions={
            "train_step": [0, 5, 5, 5, 5],
            "kind": ["state", "state", "state", "state", "gate"],
            "path": ["c→c", "c→c", "c→c", "h→h", "f"],
            "lag": [0, 0, 1, 0, 0],
            "log_norm": [9.0, 0.0, -math.inf, -2.0, -1.0],
        }
    )
    assert PathContributionsPlot().data(tables)["log_norm"].tolist() == [0.0, -math.inf, -2.0, -1.0]
    above, below = PathContributionsPlot().figure(tables).axes
    assert (above.get_title(), below.get_title()) == ("a\nby path", "a\nby gate")
    carousel, hidden = above.lines
    np.testing.assert_array_equal(carousel.get_ydata(), [0.0, math.nan])
    assert hidden.get_ydata().tolist() == [-2.0]
    names = [text.get_text() for text in above.get_legend().get_texts()]
    assert names == ["c→c", "h→h"]
    assert [text.get_text() for text in below.get_legend().get_texts()] == ["f"]
