"""The norm before and after the clip."""

import numpy as np
import pytest

from gradscope.plots.clipping import Clipping
from tests.plots.conftest import made


@pytest.fixture
def tables():
    """Two seeds of ten updates; the first is clipped in three of them, the second in five."""
    clipped = [0.5] * 3 + [1.0] * 7 + [0.5] * 5 + [1.0] * 5
    return made(
        training={
            "seed": [0] * 10 + [1] * 10,
            "train_step": [*range(10)] * 2,
            "grad_norm_preclip": [*range(1, 11)] * 2,
            "grad_norm_postclip": [*range(1, 11)] * 2,
            "clip_coefficient": clipped,
        }
    )


def test_stretches_of_the_first_trial(tables):
    data = Clipping(bins=5).data(tables)
    assert data["trial"].nunique() == 1
    assert data["train_step"].tolist() == [0, 2, 4, 6, 8]
    assert data["grad_norm_preclip"].tolist() == [1.5, 3.5, 5.5, 7.5, 9.5]
    assert data["greatest_preclip"].tolist() == [2, 4, 6, 8, 10]
    assert data["clipped_fraction"].tolist() == [1.0, 0.5, 0.0, 0.0, 0.0]


def test_more_stretches_than_updates_are_the_updates(tables):
    assert Clipping(bins=60).data(tables)["train_step"].tolist() == [*range(10)]


def test_the_percentage_is_the_mean_over_seeds(tables):
    (panel,) = Clipping().figure(tables).axes
    assert panel.get_title() == "a\n40% of updates clipped"
    greatest, before, after = panel.lines
    assert np.isnan(after.get_ydata()).all()  # drawn where the clip changed it alone
    assert np.array_equal(greatest.get_ydata(), before.get_ydata())  # one update a stretch


def test_what_the_clip_changed_is_drawn():
    tables = made(
        training={
            "train_step": [0, 1],
            "grad_norm_preclip": [2.0, 4.0],
            "grad_norm_postclip": [2.0, 1.0],
            "clip_coefficient": [1.0, 0.25],
        }
    )
    (panel,) = Clipping().figure(tables).axes
    assert np.array_equal(panel.lines[2].get_ydata(), [np.nan, 1.0], equal_nan=True)


def test_no_more_configurations_than_asked_for():
    norms = dict.fromkeys(["grad_norm_preclip", "grad_norm_postclip", "clip_coefficient"], 1.0)
    tables = made(training={"configuration": ["a", "b", "c"], **norms})
    assert Clipping(most=2).data(tables)["configuration"].tolist() == ["a", "c"]
