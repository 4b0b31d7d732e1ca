"""Runs the trials of an experiment: in this process, in a pool of processes, or on a Dask cluster.

A trial writes its own shards and returns only what became of it, and running it again gives the
same shards, so a dead worker costs a retry and nothing else. Workers use one thread each: small
matrix products are far faster so, and results do not depend on the number of workers.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import NamedTuple

from gradscope.components.options import as_mapping
from gradscope.components.plugins import plugins_of_runs
from gradscope.components.registry import load_entry_points
from gradscope.experiment.kin import Population, arranged
from gradscope.experiment.load import Experiment
from gradscope.experiment.noting import Noting
from gradscope.experiment.observer import Observer
from gradscope.experiment.pool import run_in_pool
from gradscope.experiment.scheduler import Scheduler
from gradscope.experiment.schema import Trial
from gradscope.experiment.worker import entry_of, record_all, single_threaded
from gradscope.results.damage import Damage
from gradscope.results.files import remove_temporaries
from gradscope.results.gathered import gather
from gradscope.results.lock import locked
from gradscope.results.manifest import (
    Manifest,
    PluginEntry,
    Prediction,
    TaskAbout,
)
from gradscope.results.preparation import continued, prepare_directory
from gradscope.results.records import RunDirectory
from gradscope.tasks import Task


def manifest_of(experiment: Experiment) -> Manifest:
    """The part of a run's manifest that follows from the experiment; no date, no provenance."""
    header, tasks = experiment.header, [trial.settings.task for trial in experiment.trials]
    return Manifest(
        name=header.name,
        created="",
        question=header.question,
        answer=header.answer,
        source=header.source,
        expect=[Prediction(**dict(expected)) for expected in header.expect],
        figures=None if header.figures is None else [as_mapping(plot) for plot in header.figures],
        tasks={task.name: _about(task) for task in tasks},
        plugins=[
            PluginEntry(
                path=str(plugin.path),
                sha256=plugin.sha256,
                components=[" ".join(part) for part in plugin.components],
            )
            for plugin in plugins_of_runs()
        ],
        packages=dict(load_entry_points()),
        trials=[entry_of(trial) for trial in experiment.trials],
        provenance=[],
    )


def _about(task: Task) -> TaskAbout:
    cls = type(task)
    return TaskAbout(
        about=(cls.__doc__ or "").split("\n")[0],
        criterion=cls.criterion,
        wrong=inspect.getdoc(cls.wrong) or "",
        measures=dict(cls.measure_words),
    )


class Ready(NamedTuple):
    """A run directory that is held, and ready for what it lacks.

    Attributes:
        missing: trials that it does not hold yet.
        damaged: what was set aside because it was not as it was written.
        manifest: as it stands on disk.
    """

    missing: list[Trial]
    damaged: list[Damage]
    manifest: Manifest


@contextmanager
def claimed(experiment: Experiment, run: RunDirectory, device: str) -> Iterator[Ready]:
    """Hold the run directory against other runs, ready for the trials that it lacks.

    Raises:
        RunDirectoryError: if it holds something else, or another run holds it.
        StorageError: if it cannot be written.
    """
    manifest = manifest_of(experiment)
    continued(run, manifest)  # refused before a lock is put into what is not ours
    with locked(run.path):
        yield _prepared(experiment, run, device, manifest)


def prepare(experiment: Experiment, run: RunDirectory, device: str) -> Ready:
    """Make the run directory ready, without holding it.

    Raises:
        RunDirectoryError: if it holds something else.
        StorageError: if it cannot be written.
    """
    return _prepared(experiment, run, device, manifest_of(experiment))


def _prepared(experiment: Experiment, run: RunDirectory, device: str, asked: Manifest) -> Ready:
    manifest, damaged = prepare_directory(run, asked, device)
    done = run.done()
    missing = [trial for trial in experiment.trials if trial.id not in done]
    return Ready(missing, damaged, manifest)


def run_sweep(
    experiment: Experiment,
    run: RunDirectory,
    observer: Observer,
    *,
    workers: int = 1,
    scheduler: Scheduler | str | None = None,
    device: str = "cpu",
    population: Population = "auto",
    groups: Sequence[Sequence[Trial]] | None = None,
    ready: Ready | None = None,
) -> dict[str, str]:
    """Run the trials that the run directory does not hold yet.

    Args:
        experiment: what to run.
        run: where to record it.
        observer: is told of progress.
        workers: 1 runs in this process; more run in as many processes of their own.
        scheduler: a Dask scheduler, or its address, to use instead; its workers must see the run
            directory, and the plugins, under the same paths.
        device: torch device of every trial.
        population: how many trials may train as one program; ``auto`` measures what is fastest.
        groups: trials that train as one program, where that is known; those of none train alone.
        ready: what ``claimed`` gave, where the caller holds the directory already.

    Returns:
        Trial id to what became of the trial: solved, unsolved, diverged or failed.

    Raises:
        RunDirectoryError: as ``claimed``.
        StorageError: if something cannot be written; what is recorded stays.
        GradscopeError: if no scheduler answers at the address.
        KeyboardInterrupt: passed on; what is recorded stays, and a second run does the rest.
    """
    held = claimed(experiment, run, device) if ready is None else nullcontext(ready)
    with held as (missing, _, manifest):
        if not missing:
            return {}
        try:
            if groups is None:
                how = population, workers, device
                groups, manifest = _groups(experiment, missing, run, manifest, *how)
            with Noting(observer, missing, run.path) as noting:
                outcomes = _trained(groups, run, noting, scheduler, workers, device)
            return _recorded(outcomes, run, manifest)
        finally:
            # of a worker that died, or that an earlier driver left behind and that was dying still
            remove_temporaries(run.path)


def _trained(
    groups: Sequence[Sequence[Trial]],
    run: RunDirectory,
    observer: Observer,
    scheduler: Scheduler | str | None,
    workers: int,
    device: str,
) -> dict[str, str]:
    """Run trials in one of the three ways there are."""
    if scheduler is not None:
        from gradscope.experiment import cluster  # here, as Dask is an extra

        return cluster.run_on(scheduler, groups, run, observer, device)
    if min(workers, len(groups)) > 1:
        return run_in_pool(groups, run, observer, device, workers)
    return _in_process(groups, run, observer, device)


def _groups(
    experiment: Experiment,
    missing: Sequence[Trial],
    run: RunDirectory,
    manifest: Manifest,
    population: Population,
    workers: int,
    device: str,
) -> tuple[list[list[Trial]], Manifest]:
    """The groups in which the missing trials train, and the manifest, which says new ones.

    Those that the manifest says already are trained again as they were, with whoever of them is
    recorded.
    """
    by_id = {trial.id: trial for trial in experiment.trials}
    left = {trial.id for trial in missing}
    known = [ids for ids in manifest.together if left & {*ids} and {*ids} <= by_id.keys()]
    known = known if population == "auto" else []
    of_known = {trial_id for ids in known for trial_id in ids}
    others = [trial for trial in missing if trial.id not in of_known]
    new = arranged(others, population, workers=workers, device=device)
    together = [[trial.id for trial in group] for group in new if len(group) > 1]
    if together:
        together = [*manifest.together, *together]
        manifest = manifest.model_copy(update={"together": together})
        run.write_manifest(manifest)
    return [*([by_id[one] for one in ids] for ids in known), *new], manifest


def _recorded(outcomes: dict[str, str], run: RunDirectory, manifest: Manifest) -> dict[str, str]:
    """What became of the trials; of those whose records are not there, that they failed.

    A manifest that was lost on the way is made again.
    """
    if not run.manifest_path.exists():
        run.write_manifest(manifest)
    done = run.done()
    for trial in outcomes:
        if outcomes[trial] != "failed" and trial not in done:
            run.write_failure(
                trial,
                "what it recorded is not here: it was removed meanwhile, or its worker saw "
                "another directory under this path",
            )
            outcomes[trial] = "failed"
    gather(run)
    return outcomes


def _in_process(
    groups: Sequence[Sequence[Trial]], run: RunDirectory, observer: Observer, device: str
) -> dict[str, str]:
    outcomes = {}
    with single_threaded():
        for group in groups:
            for trial_id, outcome in record_all(group, run, device, observer.advanced):
                outcomes[trial_id] = outcome
                observer.finished(trial_id, outcome)
    return outcomes
