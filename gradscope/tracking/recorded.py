"""A recorded trial as trackers show it: its name, its settings, its scalars by train step."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gradscope.results.manifest import TrialEntry, leaves
from gradscope.results.records import RunDirectory

#: table -> its columns that are scalars of a train step
_SCALARS = {
    "training": ("loss", "grad_norm_preclip", "grad_norm_postclip", "clip_coefficient"),
    "evaluation": ("loss", "wrong_fraction"),
}
#: columns of the table ``trials`` that say how a trial ended
_FINAL = ("final_loss", "wrong_fraction", "steps_to_solve")

#: (train step, scalars by name), in the order of steps
Points = list[tuple[int, dict[str, float]]]


@dataclass(frozen=True)
class RecordedTrial:
    """What a tracker shows of a trial.

    Attributes:
        id: of the trial.
        name: its labels on the axes of the sweep and its id, such as ``lstm · seed 3 · 5f0c…``.
        folder: the same as the name of a folder.
        settings: dotted keys to values; what is null is left out.
        points: scalars by train step.
        final: how it ended: final_loss, wrong_fraction, steps_to_solve, and solved and diverged
            (0 or 1).
    """

    id: str
    name: str
    folder: str
    settings: dict[str, str | int | float | bool]
    points: Points
    final: dict[str, float]

    @classmethod
    def of(cls, entry: TrialEntry, table: Callable[[str], pd.DataFrame | None]) -> RecordedTrial:
        """A trial of a run.

        Args:
            entry: what the manifest says of it.
            table: gives a table's rows of this trial, by the table's name; None if it has none.
        """
        labels = [*entry.axes.values()] or [entry.configuration]
        return cls(
            id=entry.id,
            name=" · ".join([*labels, entry.id]),
            folder=folder_of(entry),
            settings=flat(entry.settings),
            points=points(table),
            final=_final(table("trials")),
        )

    @property
    def last_step(self) -> int:
        """The last train step of which there are scalars."""
        return self.points[-1][0] if self.points else 0


def read(run: RunDirectory, trial: str) -> RecordedTrial:
    """A recorded trial of a run.

    Raises:
        KeyError: if the manifest knows no such trial.
        DamagedError: for a file that is not as it was written.
    """
    entries = {entry.id: entry for entry in run.manifest().trials}

    def table(name: str) -> pd.DataFrame | None:
        rows = run.read(name, [trial])
        return None if rows is None else rows.to_pandas()

    return RecordedTrial.of(entries[trial], table)


def points(table: Callable[[str], pd.DataFrame | None]) -> Points:
    """The scalars of a trial by train step, those that are not finite left out.

    They are training/..., evaluation/... and, of the full state, memory_horizon/growth_rate and
    memory_horizon/horizon, the median over the sequences that were measured.
    """
    found: dict[int, dict[str, float]] = {}

    def add(step: object, name: str, value: object) -> None:
        number = float(str(value))
        if math.isfinite(number):
            found.setdefault(int(str(step)), {})[name] = number

    for name, columns in _SCALARS.items():
        rows = table(name)
        if rows is None:
            continue
        for column in (column for column in columns if column in rows):
            for step, value in zip(rows["train_step"], rows[column], strict=True):
                add(step, f"{name}/{column}", value)
    horizons = table("memory_horizon")
    if horizons is not None:
        for step, group in horizons[horizons["block"] == "state"].groupby("train_step"):
            for column in ("growth_rate", "horizon"):
                add(step, f"memory_horizon/{column}", float(np.median(group[column])))
    return sorted(found.items())


def _final(trials: pd.DataFrame | None) -> dict[str, float]:
    if trials is None or not len(trials):
        return {}
    row = trials.iloc[0]
    values = {name: float(row[name]) for name in _FINAL if name in row}
    values |= {fate: float(row["outcome"] == fate) for fate in ("solved", "diverged")}
    return {name: value for name, value in values.items() if math.isfinite(value)}


def flat(settings: Mapping[str, object]) -> dict[str, str | int | float | bool]:
    """Nested settings under dotted keys; lists as JSON, null left out.

    >>> flat({"cell": {"name": "lstm", "bias": None}, "probes": ["spectra"]})
    {'cell.name': 'lstm', 'probes': '["spectra"]'}
    """
    return {  # a bool is an int
        key: value if isinstance(value, str | int | float) else json.dumps(value)
        for key, value in leaves(settings)
        if value is not None
    }


def folder_of(entry: TrialEntry) -> str:
    """A folder's name for a trial."""
    label = f"{entry.configuration}-{entry.length}-{entry.seed}"
    return "".join(c if c.isalnum() or c in ".-" else "_" for c in label) + f"-{entry.id}"
