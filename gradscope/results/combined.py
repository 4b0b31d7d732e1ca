"""Several runs as one set of tables, in which the run is one more axis of the sweep."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from gradscope.results.manifest import REPETITIONS, TrialEntry
from gradscope.results.tables import Frames, Tables

#: the axes of combined tables, beside seed and task length
CONFIGURATION, RUN = "configuration", "run"


def combined(
    runs: Mapping[str, Tables], more: Mapping[str, Callable[[], pd.DataFrame]] | None = None
) -> Tables:
    """The tables of several runs in one, the configurations of each named by its run.

    A configuration ``lstm`` of the runs ``a`` and ``b`` becomes ``lstm, a`` and ``lstm, b``: it
    keeps its colour, and the run is the dash. Where no run has more than one configuration they are
    called by their runs alone. A table that one of the runs lacks has the rows of the others.

    Args:
        runs: name to tables, two or more.
        more: tables beside theirs, each made when it is first asked for.
    """
    alone = all(len(tables.configurations) == 1 for tables in runs.values())
    trials = [
        _renamed(trial, run, alone) for run, tables in runs.items() for trial in tables.trials
    ]
    makers = dict(more or {})
    names = dict.fromkeys([*(name for tables in runs.values() for name in tables), *makers])

    def joined(name: str) -> pd.DataFrame:
        if name in makers:
            return makers[name]()
        parts = [_rows(tables[name], run, alone) for run, tables in runs.items() if name in tables]
        return pd.concat(parts, ignore_index=True)

    def seconds() -> dict[str, Mapping[str, float]]:
        return {
            f"{run}/{trial}": parts
            for run, tables in runs.items()
            for trial, parts in tables.seconds.items()
        }

    return Tables(Frames(list(names), joined), trials, seconds=seconds)


def label_of(configuration: str, run: str, *, alone: bool) -> str:
    """What a configuration of a run is called in combined tables."""
    return run if alone else f"{configuration}, {run}"


def _renamed(trial: TrialEntry, run: str, alone: bool) -> TrialEntry:
    kept = {axis: label for axis, label in trial.axes.items() if axis in REPETITIONS}
    own = {} if alone else {CONFIGURATION: trial.configuration}
    return trial.model_copy(
        update={
            "id": f"{run}/{trial.id}",
            "configuration": label_of(trial.configuration, run, alone=alone),
            "axes": {**own, RUN: run, **kept},
        }
    )


def _rows(frame: pd.DataFrame, run: str, alone: bool) -> pd.DataFrame:
    labels = {
        label: label_of(str(label), run, alone=alone) for label in frame["configuration"].unique()
    }
    return frame.assign(
        trial=run + "/" + frame["trial"].astype(str),
        configuration=frame["configuration"].map(labels),
    )
