"""The gradient by lag."""

import math

import numpy as np

from gradscope.plots.lag_contributions import LagContributionsPlot
from tests.plots.conftest import made


def test_norms_on_the_left_and_shares_on_the_right():
    tables = made(
        lag_contributions={
            "train_step": [0, 0, 5, 5],
            "lag": [0, 1, 0, 1],
            "log_norm": [0.0, -math.inf, 1.0, -1.0],
            "cosine": 1.0,
            "share": [1.0, 1.0, 0.9, 1.0],
        }
    )
    norms_before, shares_before, norms_after, shares_after = (
        LagContributionsPlot().figure(tables).axes
    )
    assert norms_before.get_ylim() == norms_after.get_ylim()
    triangle, _ = norms_before.lines
    assert (triangle.get_marker(), list(triangle.get_xdata())) == ("v", [1])
    np.testing.assert_array_equal(shares_after.lines[0].get_ydata(), [0.9, 1.0])
    assert shares_before.get_title() == "before training"
