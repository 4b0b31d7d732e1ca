"""Predictions are held against what was measured, over the seeds, of each, and beyond chance."""

import math

import pytest

from gradscope.results import tables
from gradscope.results.manifest import Prediction
from gradscope.results.predictions import predictions
from gradscope.results.records import RunDirectory
from gradscope.results.tables import Tables
from tests.results.conftest import in_memory, run_by_hand, swept


def claim(measure: str, configuration: str, **bound: object) -> Prediction:
    return Prediction.model_validate(
        {"claim": measure, "measure": measure, "configuration": configuration, **bound}
    )


def test_predictions_are_held_against_the_data(tiny_run):
    run = RunDirectory(tiny_run)
    frame = predictions(tables.load(run), run.manifest().expect)
    assert frame["held"].tolist() == [True, False]
    # none of two: the share that gives none of two in 2.5% of cases is 1 - sqrt(0.025)
    assert frame["measured"][0] == "success rate of tanh · none at length 12: 0/2 (0% to 84%)"
    assert frame["result"].tolist() == ["held, not beyond chance", "not held"]


OF_SEEDS = [
    claim("success_rate", "a", above="b"),
    claim("final_loss", "a", below="b"),
    claim("final_loss", "a", below=0.5),
]


@pytest.mark.parametrize(
    ("first", "second", "held", "every"),
    [
        ([0.01, 0.02, 0.03], [0.8, 0.9, 0.9], [True, True, True], [True, True, True]),
        # two seeds of three against one
        ([0.01, 0.02, 0.9], [0.05, 0.8, 0.9], [True, True, True], [False, False, False]),
        # every seed is less than the same seed, though not than every other
        ([0.01, 0.02, 0.3], [0.2, 0.8, 0.9], [True, True, True], [False, True, True]),
        ([0.8, 0.8, 0.8], [0.01, 0.01, 0.01], [False, False, False], [False, False, False]),
    ],
)
def test_a_prediction_that_seeds_do_not_decide_is_told_from_one_that_they_do(
    first, second, held, every
):
    frame = predictions(in_memory({"a": first, "b": second}), OF_SEEDS)
    assert frame["held"].tolist() == held
    assert frame["every"].tolist() == every


def test_what_is_said_of_each():
    frame = predictions(in_memory({"a": [0.25], "b": [0.5]}), OF_SEEDS)
    assert frame["claim"].tolist() == ["success_rate", "final_loss", "final_loss"]
    assert frame["measured"][1] == "final loss of a: 0.25 (n = 1)"
    assert frame["predicted"].tolist() == [
        "above b: 0/1 (0% to 98%)",
        "below b: 0.5 (n = 1)",
        "below 0.5",
    ]
    assert frame["difference"].tolist() == ["0 (one seed)", "×0.5 (one seed)", ""]


def test_what_is_beyond_chance_is_told_from_what_is_not():
    apart = in_memory({"a": [0.2, 0.21, 0.19], "b": [0.5, 0.52, 0.49]})
    near = in_memory({"a": [0.2, 0.5, 0.3], "b": [0.4, 0.45, 0.5]})
    below, number = claim("final_loss", "a", below="b"), claim("final_loss", "a", below=0.35)
    assert predictions(apart, [below, number])["evident"].tolist() == [True, True]
    frame = predictions(near, [below, number, claim("final_loss", "a", above="b")])
    assert frame["held"].tolist() == [True, True, False]
    assert frame["evident"].tolist() == [False] * 3
    against = predictions(apart, [claim("final_loss", "a", above="b")])
    assert (against["held"][0], against["evident"][0]) == (False, True)


def test_unsolved_seeds_are_no_fast_ones():
    losses = {("a", 0): 0.05, **{("a", s): 0.5 for s in range(1, 5)}}
    losses |= {("b", s): 0.05 for s in range(5)}
    steps = {("a", 0): 100, **{("b", s): 400 + s for s in range(5)}}
    faster = claim("steps_to_solve", "a", below="b")
    frame = predictions(swept(("cell",), losses, steps), [faster])
    assert frame["held"].tolist() == [False], "four of its five seeds need more than the budget"
    assert frame["measured"][0].startswith("steps to solve of a: > 1500 (")


def test_a_bound_that_is_just_met_does_not_hold():
    loaded = in_memory({"a": [0.5], "b": [0.5]})
    for side in ("above", "below"):
        for bound in (0.5, "b"):
            frame = predictions(loaded, [claim("final_loss", "a", **{side: bound})])
            assert frame["held"].tolist() == [False]


@pytest.mark.parametrize(
    "prediction",
    [
        claim("memory_horizon", "a", above=1.0),  # the probe was not there
        claim("final_loss", "diverged", above=0.0),  # nothing but NaN
        claim("final_loss", "a", below="diverged"),
    ],
)
def test_what_was_not_measured_is_not_known(prediction):
    frame = predictions(in_memory({"a": [0.5], "diverged": [math.nan]}), [prediction])
    assert frame["held"].tolist() == [None]
    assert frame["every"].tolist() == [False]


def test_a_configuration_that_is_not_recorded_yet_is_not_known():
    whole = in_memory({"a": [0.5], "b": [0.25]})
    partial = Tables({"trials": whole["trials"].query("configuration == 'a'")}, whole.trials)
    frame = predictions(partial, OF_SEEDS)
    assert frame["held"].tolist() == [None, None, False]


def test_a_diverged_seed_is_on_neither_side():
    frame = predictions(in_memory({"a": [0.25, math.nan]}), [claim("final_loss", "a", below=0.5)])
    assert frame["held"].tolist() == [True]
    assert frame["every"].tolist() == [False]


def test_the_length_is_the_greatest_or_that_of_the_prediction(tmp_path):
    loaded = tables.load(run_by_hand(tmp_path / "run"))
    chosen = [claim("success_rate", "lstm", above=0.5, length=length) for length in (None, 10)]
    frame = predictions(loaded, chosen)
    assert frame["measured"].tolist() == [
        "success rate of lstm at length 20: 2/2 (16% to 100%)",
        "success rate of lstm at length 10: 2/2 (16% to 100%)",
    ]
    assert frame["every"].tolist() == [True, True]


def test_without_predictions_the_columns_are_there():
    frame = predictions(in_memory({"a": [0.5]}), [])
    assert {"claim", "measured", "predicted", "held", "every", "evident"} <= set(frame.columns)
    assert frame.empty
