"""The overview of a run, for programs."""

import json
import math

import numpy as np
import pytest

from gradscope.errors import RunDirectoryError
from gradscope.results.manifest import Prediction
from gradscope.results.overview import _plain, overview
from gradscope.results.records import RunDirectory
from gradscope.results.summary import summary
from gradscope.results.tables import load
from tests.results.conftest import entry, horizons, outcome, wanted


def recorded(path, losses, *, norms=(0.0, -3.0)) -> RunDirectory:
    """A run of one configuration, a trial for each loss; None is a trial that failed."""
    trials = [entry(f"t{seed}", "tanh", length=20, seed=seed) for seed in range(len(losses))]
    expect = [
        Prediction(claim="it learns", measure="final_loss", configuration="tanh", below=0.5),
        Prediction(claim="it is lost", measure="final_loss", configuration="relu", below=0.5),
    ]
    run = RunDirectory(path)
    run.write_manifest(wanted(*trials, name="by_hand", question="does it?", expect=expect))
    for trial, loss in zip(trials, losses, strict=True):
        if loss is None:
            run.write_failure(trial.id, "OSError: disk full")
        else:
            tables = {"trials": outcome(loss), "memory_horizon": horizons(*norms)}
            run.write_trial(trial.id, tables, {})
    return run


def strictly(run: RunDirectory) -> dict:
    """The overview after a journey through JSON, which has no NaN."""

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    text = json.dumps(overview(run), allow_nan=False)
    return json.loads(text, parse_constant=refuse)


def test_all_of_a_run_in_one_document(tmp_path):
    found = strictly(recorded(tmp_path, [0.01, 0.02, 0.04, None]))
    assert (found["name"], found["question"]) == ("by_hand", "does it?")
    assert found["trials"] == {"recorded": 3, "of": 4}
    assert found["failures"] == [{"trial": "t3", "error": "OSError: disk full"}]
    assert any("Solved by every seed" in sentence for sentence in found["verdict"])
    first, second = found["expectations"]
    assert (first["claim"], first["held"], first["result"]) == (
        "it learns",
        True,
        "held on evidence",
    )
    assert (second["held"], second["result"]) == (None, "not known")


def test_numbers_are_those_of_the_summary(tmp_path):
    run = recorded(tmp_path, [0.01, 0.02, 0.04])
    (row,) = strictly(run)["summary"]
    expected = summary(load(run)).to_dict("records")[0]
    assert (row["configuration"], row["length"], row["trials"]) == ("tanh", 20, 3)
    loss = row["measures"]["final_loss"]
    assert loss["value"] == pytest.approx(0.02)
    assert (loss["low"], loss["high"], loss["n"], loss["level"]) == (
        expected["final_loss_low"],
        expected["final_loss_high"],
        3,
        0.95,
    )
    steps = row["measures"]["steps_to_solve"]
    assert (steps["value"], steps["censored"], steps["level"]) == (10.0, False, 0.75)
    assert row["measures"]["solved"] == {"value": 3.0}
    assert set(row["measures"]) == set(strictly(run)["measures"])


def test_what_is_not_known_or_infinite_is_json_all_the_same(tmp_path):
    diverged = recorded(tmp_path, [math.nan, math.nan], norms=(0.0, -math.inf))
    (row,) = strictly(diverged)["summary"]
    assert row["measures"]["final_loss"]["value"] is None
    assert row["measures"]["final_loss"]["low"] is None
    assert row["measures"]["final_loss"]["level"] is None
    assert row["measures"]["log_norm"]["value"] == "-Infinity"
    assert float(row["measures"]["log_norm"]["value"]) == -math.inf


def test_a_run_without_a_recorded_trial_says_why(tmp_path):
    found = strictly(recorded(tmp_path, [None, None]))
    assert found["trials"] == {"recorded": 0, "of": 2}
    assert found["summary"] == found["verdict"] == found["expectations"] == []
    assert len(found["failures"]) == 2


def test_a_directory_that_holds_no_run(tmp_path):
    with pytest.raises(RunDirectoryError, match="does not exist"):
        overview(RunDirectory(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (math.nan, None),
        (math.inf, "Infinity"),
        (np.float64(-math.inf), "-Infinity"),
        (np.float64(0.5), 0.5),
        (np.True_, True),
        (None, None),
        (3, 3),
        ("text", "text"),
    ],
)
def test_plain_values(value, plain):
    assert _plain(value) == plain
    json.dumps(_plain(value), allow_nan=False)
