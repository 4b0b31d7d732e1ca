"""Measures: each column of the summary, on groups whose values are known."""

import math

import pandas as pd
import pytest

from gradscope.results.measures import MEASURES, Group, predictable, task_measure
from gradscope.results.scales import Sample, Scale

NOTHING = pd.DataFrame({"trial": []})
TRIALS = pd.DataFrame(
    {
        "trial": list("abcd"),
        "seed": [0, 1, 2, 3],
        "outcome": ["solved", "unsolved", "solved", "diverged"],
        "final_loss": [0.02, 0.5, 0.04, math.nan],
        "baseline": [0.1] * 4,
        "wrong_fraction": [0.0, 1.0, 0.5, math.nan],
        "steps_to_solve": [100.0, math.nan, 300.0, math.nan],
        "steps": [500.0, 400.0, 500.0, 20.0],
        "bits": [1.0, 2.0, 6.0, math.nan],
    }
)
TRAINING = pd.DataFrame(
    {"trial": list("aaaabb"), "clip_coefficient": [1.0, 0.5, 0.5, 0.5, 1.0, 0.5]}
)
EARLY = pd.DataFrame(
    {
        "trial": ["a", "b"],
        "horizon": [2.0, 4.0],
        "longest": [20, 20],
        "censored": [False, False],
        "growth_rate": [-math.inf, -1.0],
        "log_norm": [-math.inf, -20.0],
        "time": [20, 20],
    }
)
# two sequences of each trial; those of b go on beyond the longest lag
LATE = pd.DataFrame(
    {
        "trial": ["a", "a", "b", "b", "c"],
        "horizon": [5.0, 7.0, math.inf, math.inf, 30.0],
        "longest": [20] * 5,
        "censored": [False, False, True, True, False],
        "growth_rate": [-0.2, -0.4, 0.1, 0.3, math.nan],
        "log_norm": [-4.0, -8.0, 2.0, 6.0, math.nan],
        "time": [20] * 5,
    }
)
BUDGETS = dict.fromkeys("abcd", 500.0)
GROUP = Group(TRIALS, TRAINING, EARLY, LATE, BUDGETS)

#: measure to its value of each seed
KNOWN = {
    "trials": {0: 1, 1: 1, 2: 1, 3: 1},
    "solved": {0: 1, 1: 0, 2: 1, 3: 0},
    "success_rate": {0: 1, 1: 0, 2: 1, 3: 0},
    "final_loss": {0: 0.02, 1: 0.5, 2: 0.04, 3: math.nan},
    "baseline": {0: 0.1, 1: 0.1, 2: 0.1, 3: 0.1},
    "loss_over_baseline": {0: 0.2, 1: 5, 2: 0.4, 3: math.nan},
    "wrong_fraction": {0: 0, 1: 1, 2: 0.5, 3: math.nan},
    "steps_to_solve": {0: 100, 1: math.inf, 2: 300, 3: math.inf},
    "memory_horizon": {0: 6, 1: math.inf, 2: 30},
    "growth_rate": {0: -0.3, 1: 0.2, 2: math.nan},
    "log_norm": {0: -6, 1: 4, 2: math.nan},
    "steps": {0: 20, 1: 20, 2: 20},
    "memory_horizon_initial": {0: 2, 1: 4},
    "growth_rate_initial": {0: -math.inf, 1: -1},
    "log_norm_initial": {0: -math.inf, 1: -20},
    "clipped_fraction": {0: 3 / 4, 1: 1 / 2},
    "diverged_fraction": {0: 0, 1: 0, 2: 0, 3: 1},
}


def test_every_measure_has_known_values_here():
    assert set(KNOWN) == set(MEASURES)


@pytest.mark.parametrize("name", KNOWN)
def test_the_values_by_seed(name):
    found = MEASURES[name].of(GROUP).values
    assert found == pytest.approx(KNOWN[name], nan_ok=True)


@pytest.mark.parametrize(
    ("name", "centre", "n"),
    [
        ("trials", 4, 4),
        ("solved", 2, 4),
        ("success_rate", 0.5, 4),
        ("final_loss", (0.02 * 0.5 * 0.04) ** (1 / 3), 3),
        ("loss_over_baseline", (0.2 * 5 * 0.4) ** (1 / 3), 3),
        ("wrong_fraction", 0.5, 3),
        ("memory_horizon", 30, 3),
        ("growth_rate", -0.05, 2),
        ("growth_rate_initial", -math.inf, 2),
        ("clipped_fraction", 5 / 8, 2),
    ],
)
def test_over_the_seeds(name, centre, n):
    estimate = MEASURES[name].estimate(GROUP)
    assert (estimate.centre, estimate.n) == (pytest.approx(centre), n)


def test_an_unsolved_trial_was_watched_as_long_as_it_trained_a_diverged_one_for_all_its_updates():
    assert MEASURES["steps_to_solve"].of(GROUP).bounds == {0: 500, 1: 400, 2: 500, 3: 500}
    estimate = MEASURES["steps_to_solve"].estimate(GROUP)
    # half solved it, at 300 at the latest; of the others one was lost at 400, one at 500
    assert (estimate.centre, estimate.censored, estimate.n) == (400, True, 4)


def test_without_a_budget_an_unsolved_trial_says_nothing():
    sample = MEASURES["steps_to_solve"].of(Group(TRIALS, NOTHING, EARLY, LATE))
    assert sample.seeds == [0, 2]
    assert sample.bounds == {}


def test_horizons_beyond_the_longest_lag_are_censored_at_it():
    sample = MEASURES["memory_horizon"].of(GROUP)
    assert sample.bounds == {0: 20, 1: 20, 2: 30}
    before = LATE.drop(columns=["censored", "longest"])  # as older tables have it
    sample = MEASURES["memory_horizon"].of(Group(TRIALS, NOTHING, EARLY, before))
    assert sample.values == {0: 6, 1: math.inf, 2: math.inf}
    assert sample.bounds == {0: 20, 1: 20, 2: 20}


@pytest.mark.parametrize(
    "name", [name for name, measure in MEASURES.items() if measure.needs == "memory_horizon"]
)
def test_what_was_not_measured_is_not_known(name):
    empty = LATE.iloc[:0]
    assert math.isnan(MEASURES[name].estimate(Group(TRIALS, NOTHING, empty, empty)).centre)


def test_the_steps_are_those_before_training_where_there_is_no_later_measurement():
    assert MEASURES["steps"].estimate(Group(TRIALS, NOTHING, EARLY, LATE.iloc[:0])).centre == 20


def test_a_tasks_own_is_summarised_as_its_sign_allows():
    bits = task_measure("bits", "bits", "per character")
    assert bits.estimate(GROUP).centre == pytest.approx(12 ** (1 / 3))
    assert task_measure("bits", "bits", "", positive=False).estimate(GROUP).centre == 3.0
    assert bits.title == "bits (per character)"
    assert bits.predictable


@pytest.mark.parametrize(
    ("name", "title", "shown"),
    [
        # Clopper and Pearson: P(X >= 2) = 2.5% of four at 6.76%
        ("success_rate", "solved (95% interval)", "2/4 (7% to 93%)"),
        # t = 4.303 with two degrees of freedom, of logarithms whose deviation is 1.694
        ("final_loss", "final test loss", "0.0737 (0.0011 to 4.96, n = 3)"),
        ("steps_to_solve", "steps to solve (updates)", "> 400 (100 or more at 88%)"),
        ("memory_horizon", "memory horizon (steps)", "30 (6 or more at 75%, n = 3)"),
        ("growth_rate_initial", "", "−∞ (no interval, n = 2)"),
        ("diverged_fraction", "diverged (of trials)", "1/4 (1% to 81%)"),
    ],
)
def test_in_print(name, title, shown):
    measure = MEASURES[name]
    assert measure.title == title
    assert measure.printed(measure.estimate(GROUP), 4) == shown


def test_durations_are_summarised_the_same_way_wherever_they_are_told():
    assert MEASURES["memory_horizon"].scale is Scale.DURATION
    same = Sample({0: 6.0, 1: math.inf, 2: 30.0}, {0: 20.0, 1: 20.0, 2: 30.0})
    assert Scale.DURATION.estimate(same) == MEASURES["memory_horizon"].estimate(GROUP)


def test_predictions_may_be_about_some():
    assert set(predictable()) < set(MEASURES)
    assert {"success_rate", "final_loss", "memory_horizon"} <= set(predictable())
    assert not {"trials", "solved", "log_norm"} & set(predictable())
