"""A recorded trial as trackers show it."""

import math

import pytest

from gradscope.results.manifest import TrialEntry
from gradscope.results.preparation import prepare_directory
from gradscope.results.records import RunDirectory
from gradscope.tracking.recorded import flat, read
from tests.results.conftest import entry, horizons, outcome, wanted


@pytest.fixture
def run(tmp_path) -> RunDirectory:
    """A run of one trial that was solved."""
    run = RunDirectory(tmp_path / "run")
    prepare_directory(run, wanted(entry("aaa", "a/b c", length=20, seed=3)), "cpu")
    steps: dict[str, list[object]] = {
        "train_step": [1, 2],
        "loss": [0.5, math.nan],
        "grad_norm_preclip": [4.0, 2.0],
        "grad_norm_postclip": [1.0, 1.0],
        "clip_coefficient": [0.25, 0.5],
    }
    tests: dict[str, list[object]] = {"train_step": [2], "loss": [0.05], "wrong_fraction": [0.0]}
    tables = {
        "trials": outcome(0.05),
        "training": steps,
        "evaluation": tests,
        "memory_horizon": horizons(-10.0, 5.0),
    }
    run.write_trial("aaa", tables, {})
    return run


def test_scalars_of_all_tables_stand_together_by_train_step(run):
    trial = read(run, "aaa")
    assert trial.points == [
        (0, {"memory_horizon/growth_rate": -0.5, "memory_horizon/horizon": 2.0}),
        (1, {"training/loss": 0.5, "training/grad_norm_preclip": 4.0,
             "training/grad_norm_postclip": 1.0, "training/clip_coefficient": 0.25}),
        (2, {"training/grad_norm_preclip": 2.0, "training/grad_norm_postclip": 1.0,
             "training/clip_coefficient": 0.5, "evaluation/loss": 0.05,
             "evaluation/wrong_fraction": 0.0}),
        (6, {"memory_horizon/growth_rate": 0.25}),
    ]  # fmt: skip
    assert trial.last_step == 6


def test_it_has_its_name_its_settings_and_its_end(run):
    trial = read(run, "aaa")
    assert trial.name == "a/b c · 3 · aaa"
    assert trial.folder == "a_b_c-20-3-aaa"
    assert trial.settings == {"task.name": "adding", "task.length": 20, "seed": 3}
    assert trial.final == {
        "final_loss": 0.05, "wrong_fraction": 0.05, "steps_to_solve": 10.0,
        "solved": 1.0, "diverged": 0.0,
    }  # fmt: skip


def test_a_trial_without_axes_is_called_by_its_configuration(tmp_path):
    run = RunDirectory(tmp_path)
    prepare_directory(run, wanted(TrialEntry(id="bbb", configuration="lstm")), "cpu")
    run.write_trial("bbb", {"trials": outcome(math.nan)}, {})
    trial = read(run, "bbb")
    assert (trial.name, trial.points, trial.last_step) == ("lstm · bbb", [], 0)
    assert (trial.final["diverged"], trial.final["solved"]) == (1.0, 0.0)
    assert "final_loss" not in trial.final


def test_settings_are_flat_and_plain():
    nested = {"a": {"b": {"c": 1}, "d": True}, "e": [{"f": 1}], "g": None, "h": 0.5, "i": {}}
    assert flat(nested) == {"a.b.c": 1, "a.d": True, "e": '[{"f": 1}]', "h": 0.5}
