"""A run to watch, which trains nothing."""

from pathlib import Path

from gradscope.results.records import RunDirectory
from tests.results.conftest import horizons, outcome, run_by_hand


def eight_trials(path: Path) -> RunDirectory:
    """A run of eight recorded trials that a report can be drawn of."""
    run = run_by_hand(path)
    for trial in run.manifest().trials:
        learns = trial.configuration == "lstm"
        end = 0.05 if learns else 0.5
        words = {"cause": [""], "loss_unit": ["squared error"], "parameters": [9]}
        tables = {
            "trials": {**outcome(end, steps=30.0), **words},
            "training": {
                "train_step": [1, 2],
                "loss": [1.0, end],
                "grad_norm_preclip": [2.0, 1.0],
                "grad_norm_postclip": [1.0, 1.0],
                "clip_coefficient": [0.5, 1.0],
            },
            "evaluation": {
                "train_step": [0, 2],
                "loss": [1.0, end],
                "wrong_fraction": [1.0, end],
                "solved": [False, learns],
            },
            "memory_horizon": horizons(-0.5 if learns else -10.0, 0.5 if learns else -20.0),
        }
        run.write_trial(trial.id, tables, {"total": 2.0})
    return run
