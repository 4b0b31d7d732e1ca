"""Measures: each column of the summary, on groups whose value is known."""

import math

import pandas as pd
import pytest

from gradscope.results.measures import MEASURES, Group, predictable, task_measure
from gradscope.results.statistics import wilson

NOTHING = pd.DataFrame({"trial": []})
TRIALS = pd.DataFrame(
    {
        "trial": list("abcd"),
        "outcome": ["solved", "unsolved", "solved", "diverged"],
        "final_loss": [0.02, 0.5, 0.04, math.nan],
        "baseline": [0.1] * 4,
        "wrong_fraction": [0.0, 1.0, 0.5, math.nan],
        "steps_to_solve": [100.0, math.nan, 300.0, math.nan],
        "bits": [1.0, 2.0, 6.0, math.nan],
    }
)
TRAINING = pd.DataFrame(
    {"trial": list("aaaabb"), "clip_coefficient": [1.0, 0.5, 0.5, 0.5, 1.0, 0.5]}
)
EARLY = pd.DataFrame(
    {
        "horizon": [2.0, 4.0],
        "growth_rate": [-math.inf, -1.0],
        "log_norm": [-math.inf, -20.0],
        "time": [20, 20],
    }
)
LATE = pd.DataFrame(
    {
        "horizon": [5.0, math.inf, 7.0],
        "growth_rate": [-0.2, 0.1, math.nan],
        "log_norm": [-4.0, 2.0, math.nan],
        "time": [20, 20, 20],
    }
)
GROUP = Group(TRIALS, TRAINING, EARLY, LATE)

KNOWN = {
    "trials": 4,
    "solved": 2,
    "success_rate": 0.5,
    "success_low": wilson(2, 4)[0],
    "success_high": wilson(2, 4)[1],
    "final_loss": 0.04,
    "baseline": 0.1,
    "loss_over_baseline": 0.4,
    "wrong_fraction": 0.5,
    "steps_to_solve": 200,
    "memory_horizon": 7,
    "growth_rate": -0.05,
    "log_norm": -1,
    "steps": 20,
    "memory_horizon_initial": 3,
    "growth_rate_initial": -math.inf,
    "log_norm_initial": -math.inf,
    "clipped_fraction": (3 / 4 + 1 / 2) / 2,
    "diverged_fraction": 0.25,
}


def test_every_measure_has_a_known_value_here():
    assert set(KNOWN) == set(MEASURES)


@pytest.mark.parametrize("name", KNOWN)
def test_the_value(name):
    assert MEASURES[name].of(GROUP) == pytest.approx(KNOWN[name])


@pytest.mark.parametrize(
    "name", [name for name, measure in MEASURES.items() if measure.needs == "memory_horizon"]
)
def test_what_was_not_measured_is_not_known(name):
    empty = LATE.iloc[:0]
    assert math.isnan(MEASURES[name].of(Group(TRIALS, NOTHING, empty, empty)))


def test_the_steps_are_those_before_training_where_there_is_no_later_measurement():
    assert MEASURES["steps"].of(Group(TRIALS, NOTHING, EARLY, LATE.iloc[:0])) == 20


def test_a_tasks_own_is_the_median_over_trials():
    bits = task_measure("bits", "bits", "per character")
    assert bits.of(GROUP) == 2.0
    assert bits.title == "bits (per character)"
    assert bits.predictable


ROW = {name: float(value) for name, value in KNOWN.items()}


@pytest.mark.parametrize(
    ("name", "title", "shown"),
    [
        ("success_rate", "solved (95% interval)", "2/4 (15%–85%)"),
        ("final_loss", "final test loss", "0.04"),
        ("wrong_fraction", "wrong (of answers)", "50%"),
        ("growth_rate", "growth rate (nats/step)", "−0.05"),
        ("clipped_fraction", "clipped (of updates)", "62%"),
        ("diverged_fraction", "diverged (of trials)", "25%"),
    ],
)
def test_in_print(name, title, shown):
    assert MEASURES[name].title == title
    assert MEASURES[name].show(ROW) == shown


def test_predictions_may_be_about_some():
    assert set(predictable()) < set(MEASURES)
    assert {"success_rate", "final_loss", "memory_horizon"} <= set(predictable())
    assert not {"trials", "solved", "success_low", "log_norm"} & set(predictable())
