"""Whether recorded trials come out the same now, and if not, where they first differ."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from gradscope.experiment.load import Experiment
from gradscope.experiment.observer import Observer
from gradscope.experiment.run import run_sweep
from gradscope.experiment.schema import Header, Trial
from gradscope.experiment.worker import trial_of
from gradscope.results.manifest import Manifest
from gradscope.results.provenance import hardware, versions
from gradscope.results.records import RunDirectory

#: tables in the order in which a trial makes them; the others follow by name
_FIRST = ("training", "evaluation")


class Difference(NamedTuple):
    """Where a trial first differs from what was recorded.

    Attributes:
        trial: its id.
        where: table, column and row, or what is missing.
        recorded: the value then, as text.
        now: the value now.
    """

    trial: str
    where: str
    recorded: str
    now: str

    def __str__(self) -> str:
        return f"{self.trial}: first differs in {self.where}: {self.recorded}, now {self.now}"


def recorded_experiment(run: RunDirectory) -> Experiment:
    """The experiment of the trials that a run holds, from its manifest.

    Raises:
        RunDirectoryError: if the directory is not a run's, or its manifest is damaged.
        ConfigError: for settings that this version does not know.
        GradscopeError: if a file that a task reads has changed since.
    """
    manifest, done, trials = run.manifest(), run.done(), []
    for entry in manifest.trials:
        if entry.id in done:
            trial = trial_of(entry.settings, entry.id, owner=f"the trial {entry.id}")
            named = {"configuration": entry.configuration, "axes": entry.axes}
            trials.append(Trial(settings=trial.settings, **named))
    return Experiment(header=Header(name=manifest.name), trials=trials)


def replayed(
    run: RunDirectory,
    experiment: Experiment,
    observer: Observer,
    *,
    workers: int = 1,
    device: str = "cpu",
) -> list[Difference]:
    """Run recorded trials again, into a place that is removed, and compare every number.

    Args:
        run: what was recorded; nothing in it changes.
        experiment: its trials, as ``recorded_experiment`` gives them.
        observer: is told of progress.
        workers: processes that run trials.
        device: torch device of every trial.

    Returns:
        The first difference of each trial that has one; bits count, and NaN equals NaN.
    """
    groups = _together(run, experiment)
    with tempfile.TemporaryDirectory() as folder:
        again: dict[str, RunDirectory] = {}
        # those that trained together first: beside them may be some that were run again alone
        for place, wave in enumerate(
            ([g for g in groups if g[1:]], [g for g in groups if not g[1:]])
        ):
            directory = RunDirectory(Path(folder) / str(place))
            trials = [trial for group in wave for trial in group]
            part = Experiment(header=experiment.header, trials=trials)
            run_sweep(part, directory, observer, workers=workers, device=device, groups=wave)
            again |= {trial.id: directory for trial in trials}
        found = [_difference(run, again[trial.id], trial.id) for trial in experiment.trials]
    return [difference for difference in found if difference is not None]


def _together(run: RunDirectory, experiment: Experiment) -> list[list[Trial]]:
    """The trials in the groups in which they were trained, with whoever else was in them."""
    entries = {entry.id: entry for entry in run.manifest().trials}
    recorded = {trial.id: trial for trial in experiment.trials}
    found: dict[tuple[str, ...], list[Trial]] = {}
    for trial in experiment.trials:
        ledger = run.ledger(trial.id)
        ids = (ledger.together if ledger else ()) or (trial.id,)
        found[ids] = [recorded.get(one) or trial_of(entries[one].settings, one) for one in ids]
    return list(found.values())


def changed_since(manifest: Manifest) -> list[str]:
    """What is another than when a run was recorded last: versions, processor."""
    if not manifest.provenance:
        return []
    then, now = manifest.provenance[-1], {**versions(), **hardware()}
    return [
        f"{what} {before}, now {now.get(what)}"
        for what, before in {**then.versions, **then.hardware}.items()
        if what != "cpus" and now.get(what) != before
    ]


def _difference(run: RunDirectory, again: RunDirectory, trial: str) -> Difference | None:
    if trial not in again.done():
        why = again.failures().get(trial, {}).get("error", "it was not run")
        return Difference(trial, "what became of it", "it was recorded", f"it fails: {why}")
    names = {path.parts[1] for one in (run, again) for path in one.shards_of(trial)}
    for name in sorted(names, key=lambda name: (name not in _FIRST, _FIRST[:1] != (name,), name)):
        first, second = run.read(name, [trial]), again.read(name, [trial])
        if first is None or second is None:
            there = [
                "it is there" if table is not None else "it is not" for table in (first, second)
            ]
            return Difference(trial, f"the table {name}", *there)
        if place := _first_place(first, second):
            return Difference(trial, f"{name}, {place[0]}", *place[1:])
    return None


def _first_place(first: pa.Table, second: pa.Table) -> tuple[str, str, str] | None:
    """Row and column of the first value that differs, and both values."""
    if first.column_names != second.column_names:
        return "its columns", ", ".join(first.column_names), ", ".join(second.column_names)
    if len(first) != len(second):
        return "its rows", str(len(first)), str(len(second))
    places = []
    for name in first.column_names:
        pairs = zip(first[name].to_pylist(), second[name].to_pylist(), strict=True)
        row = next((r for r, (a, b) in enumerate(pairs) if repr(a) != repr(b)), None)
        if row is not None:
            places.append((row, name))
    if not places:
        return None
    row, name = min(places, key=lambda place: place[0])
    step = f" (train_step {first['train_step'][row]})" if "train_step" in first.column_names else ""
    return (
        f"{name} of row {row}{step}",
        repr(first[name][row].as_py()),
        repr(second[name][row].as_py()),
    )
