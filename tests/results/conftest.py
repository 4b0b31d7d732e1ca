"""Runs written by hand: what is on disk, or in memory, is known without training anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from gradscope.results.manifest import Manifest, Prediction, TrialEntry
from gradscope.results.preparation import prepare_directory
from gradscope.results.records import RunDirectory
from gradscope.results.tables import Tables

#: updates that a trial of ``swept`` is given
BUDGET = 1500


def entry(trial: str, configuration: str = "c", *, length: int | None = None, seed: int = 0):
    """A trial of the adding problem."""
    task: dict[str, object] = {"name": "adding"}
    if length is not None:
        task["length"] = length
    return TrialEntry(
        id=trial,
        configuration=configuration,
        axes={"cell": configuration, "seed": str(seed)},
        settings={"task": task, "seed": seed},
    )


def wanted(*trials: TrialEntry, name: str = "name", **fields: object) -> Manifest:
    """The manifest of an experiment, as a run is prepared with it."""
    return Manifest.model_validate(
        {"name": name, "created": "", "trials": trials, "provenance": [], **fields}
    )


def outcome(loss: float, **columns: float) -> dict[str, list[object]]:
    """A row of the table ``trials``; a loss below 0.1 is a solution, NaN a divergence."""
    fate = "diverged" if math.isnan(loss) else "solved" if loss < 0.1 else "unsolved"
    row = {
        "outcome": fate,
        "final_loss": loss,
        "baseline": 1.0,
        "steps_to_solve": 10.0 if fate == "solved" else math.nan,
        "wrong_fraction": min(1.0, loss),
        **columns,
    }
    return {name: [value] for name, value in row.items()}


def horizons(first: float, last: float, steps: int = 20) -> dict[str, list[object]]:
    """ln ||ds_T/ds_0|| of the full state before and after a training, and the hidden block's."""
    norms = [first, last]
    return {
        "train_step": [0, 6] * 2,
        "block": ["state"] * 2 + ["hidden"] * 2,
        "log_norm": norms + [99.0] * 2,
        "growth_rate": [norm / steps for norm in norms] + [99.0] * 2,
        "horizon": [-steps / norm if norm < 0 else math.inf for norm in norms] + [99.0] * 2,
        "time": [steps] * 4,
    }


def run_by_hand(path: Path) -> RunDirectory:
    """A run of two configurations at two lengths, two seeds each: one learns, one vanishes."""
    trials = [
        entry(f"{label}{length}{seed}", label, length=length, seed=seed)
        for label in ("tanh", "lstm")
        for length in (10, 20)
        for seed in (0, 1)
    ]
    claim = Prediction(claim="it learns", measure="success_rate", configuration="lstm", above=0.9)
    run = RunDirectory(path)
    prepare_directory(
        run, wanted(*trials, expect=[claim], tasks={"adding": {"about": "Add two numbers."}}), "cpu"
    )
    for trial in trials:
        learns = trial.configuration == "lstm"
        tables = {
            "trials": outcome(0.05 if learns else 0.5, steps=30.0),
            "training": {"train_step": [1, 2], "clip_coefficient": [1.0, 0.5 if learns else 1.0]},
            "memory_horizon": horizons(-0.5 if learns else -10.0, 0.5 if learns else -20.0),
        }
        run.write_trial(trial.id, tables, {"total": 2.0})
    return run


def in_memory(
    losses: dict[str, list[float]], *, length: int = -1, **tables: pd.DataFrame
) -> Tables:
    """Final losses of configurations by seed."""
    trials, rows = [], []
    for label, by_seed in losses.items():
        for seed, loss in enumerate(by_seed):
            trial = f"{label}{seed}"
            trials.append(entry(trial, label, length=None if length < 0 else length, seed=seed))
            row = {name: values[0] for name, values in outcome(loss).items()}
            row |= {"trial": trial, "configuration": label, "length": length, "seed": seed}
            rows.append(row)
    return Tables({"trials": pd.DataFrame(rows), **tables}, trials)


def swept(
    axes: tuple[str, ...],
    losses: Mapping[tuple[str | int, ...], float],
    steps: Mapping[tuple[str | int, ...], float] | None = None,
) -> Tables:
    """Trials by their labels on the axes and their seed, the last of a key.

    Args:
        axes: of the sweep.
        losses: final loss of each trial; below 0.1 it has solved the task, NaN has diverged.
        steps: updates to the solution of those that did; else 10.
    """
    trials, rows = [], []
    for place, (key, loss) in enumerate(losses.items()):
        *labels, seed = key
        known = dict(zip(axes, map(str, labels), strict=True))
        made = entry(f"t{place}", " · ".join(known.values()), length=50, seed=int(seed))
        settings = {**made.settings, "training": {"steps": BUDGET}}
        trials.append(
            made.model_copy(
                update={"axes": {**known, "seed": f"seed {seed}"}, "settings": settings}
            )
        )
        row = {name: values[0] for name, values in outcome(loss).items()}
        if row["outcome"] == "solved" and steps is not None:
            row["steps_to_solve"] = float(steps[key])
        row |= {"trial": made.id, "configuration": made.configuration, "length": 50}
        rows.append(row | {"seed": int(seed), "task": "adding"})
    return Tables({"trials": pd.DataFrame(rows)}, trials)
