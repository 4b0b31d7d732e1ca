"""A run to watch, which trains nothing."""

from pathlib import Path

from gradscope.results.records import RunDirectory
from tests.results.conftest import horizons, outcome, run_by_hand


def eight_trials(path: Path) -> RunDirectory:
    """A run of eight recorded trials that a report can be drawn of."""
    run = run_by_hand(path)
    for trial in run.manifest().trials:
        learns = trial.configuration == "lstm"
        tables = {
            "trials": {**outcome(0.05 if learns else 0.5, steps=30.0), "cause": [""]},
            "training": {"train_step": [1, 2], "loss": [1.0, 0.05 if learns else 0.5]},
            "evaluation": {"train_step": [0, 2], "loss": [1.0, 0.05 if learns else 0.5]},
            "memory_horizon": horizons(-0.5 if learns else -10.0, 0.5 if learns else -20.0),
        }
        run.write_trial(trial.id, tables, {"total": 2.0})
    return run
