"""Learning curves."""

import math

import numpy as np

from gradscope.plots.learning_curves import LearningCurves
from tests.plots.conftest import made


def _tables(**columns):
    """Two seeds, the second of which ended at step 5."""
    return made(
        evaluation={
            "seed": [0, 0, 0, 1, 1],
            "train_step": [0, 5, 9, 0, 5],
            "loss": [1.0, 0.5, 0.1, 1.0, 0.2],
        },
        trials={
            "seed": [0, 1],
            "baseline": 1 / 6,
            "loss_unit": "mean squared error",
            **columns,
        },
    )


def test_what_ended_early_keeps_its_last_loss():
    data = LearningCurves().data(_tables())
    late = data[data["seed"] == 1]
    assert late["train_step"].tolist() == [0, 5, 9]
    assert late["loss"].tolist() == [1.0, 0.2, 0.2]


def test_nothing_evaluated_is_nothing_to_draw():
    tables = made(evaluation={"loss": []}, trials={"baseline": [1.0]})
    assert LearningCurves().data(tables).empty


def test_one_panel_has_no_title_and_a_dashed_baseline():
    (panel,) = LearningCurves().figure(_tables()).axes
    assert panel.get_title() == ""
    assert panel.get_ylabel() == "test loss (MSE)"
    middle, baseline = panel.lines
    # of 0.5 and 0.2, and of 0.1 and 0.2, their geometric means, as in the summary
    np.testing.assert_allclose(middle.get_ydata(), [1.0, 0.1**0.5, 0.02**0.5], rtol=1e-12)
    assert math.isclose(baseline.get_ydata()[0], 1 / 6)


def test_panels_are_told_apart_by_task_and_length(mixed):
    panels = LearningCurves().draw(mixed).axes
    assert [ax.get_title() for ax in panels] == [
        "adding, length 8",
        "copy memory, length 2",
        "temporal order, length 10",
    ]
    assert [ax.get_ylabel() for ax in panels] == [
        "test loss (MSE)",
        "test loss (nats)",
        "test loss (nats)",
    ]


def test_lengths_alone_are_named_where_the_task_is_one(tiny):
    panels = LearningCurves().draw(tiny).axes
    assert [ax.get_title() for ax in panels] == ["length 8", "length 12"]
