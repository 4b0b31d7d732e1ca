"""Runs the trials of an experiment: in this process, in a pool of processes, or on a Dask cluster.

A trial writes its own shards and returns only what became of it, and running it again gives the
same shards, so a dead worker costs a retry and nothing else. Workers use one thread each: small
matrix products are far faster so, and results do not depend on the number of workers.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from gradscope.components.options import as_mapping
from gradscope.components.plugins import plugins_of_runs
from gradscope.components.registry import load_entry_points
from gradscope.experiment.load import Experiment
from gradscope.experiment.observer import Observer
from gradscope.experiment.schema import Trial
from gradscope.experiment.worker import record, single_threaded
from gradscope.results.files import remove_temporaries
from gradscope.results.manifest import (
    Manifest,
    PluginEntry,
    Prediction,
    TaskAbout,
    TrialEntry,
)
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
        trials=[
            TrialEntry(
                id=trial.id,
                configuration=trial.configuration,
                axes=trial.axes,
                settings=trial.resolved,
                contents=trial.settings.task.contents,
                draws=trial.draws,
            )
            for trial in experiment.trials
        ],
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


def prepare(experiment: Experiment, run: RunDirectory, device: str) -> list[Trial]:
    """Make the run directory ready, and return the trials that it does not hold yet.

    Raises:
        RunDirectoryError: as ``RunDirectory.prepare``.
    """
    run.prepare(manifest_of(experiment), device)
    done = run.done()
    return [trial for trial in experiment.trials if trial.id not in done]


def run_sweep(
    experiment: Experiment,
    run: RunDirectory,
    observer: Observer,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    device: str = "cpu",
    missing: list[Trial] | None = None,
) -> dict[str, str]:
    """Run the trials that the run directory does not hold yet.

    Args:
        experiment: what to run.
        run: where to record it.
        observer: is told of progress.
        workers: 1 runs in this process; more run in as many processes of a Dask LocalCluster.
        scheduler: address of a Dask scheduler to use instead; its workers must see the run
            directory, and the plugins, under the same paths.
        device: torch device of every trial.
        missing: what ``prepare`` returned, if it has been called already.

    Returns:
        Trial id to what became of the trial: solved, unsolved, diverged or failed.

    Raises:
        RunDirectoryError: as ``RunDirectory.prepare``.
        GradscopeError: if no scheduler answers at the address.
        KeyboardInterrupt: passed on; what is recorded stays, and a second run does the rest.
    """
    missing = prepare(experiment, run, device) if missing is None else missing
    if not missing:
        return {}
    try:
        if scheduler is None and min(workers, len(missing)) <= 1:
            return _in_process(missing, run, observer, device)
        return _in_cluster(missing, run, observer, device, workers, scheduler)
    finally:
        # of a worker that died, or that an earlier driver left behind and that was dying still
        remove_temporaries(run.path)


def _in_cluster(
    trials: Sequence[Trial],
    run: RunDirectory,
    observer: Observer,
    device: str,
    workers: int,
    scheduler: str | None,
) -> dict[str, str]:
    from gradscope.experiment import cluster  # here, as Dask takes long to import

    with cluster.connected(scheduler, min(workers, len(trials))) as client:
        outcomes = cluster.run_on(client, trials, run, observer, device)
    for trial in set(outcomes) - run.done():
        if outcomes[trial] != "failed":
            reason = (
                "its worker recorded it elsewhere: workers must see the run directory under the "
                "same path"
            )
            run.write_json("failures", trial, {"error": reason, "traceback": ""})
            outcomes[trial] = "failed"
    return outcomes


def _in_process(
    trials: Sequence[Trial], run: RunDirectory, observer: Observer, device: str
) -> dict[str, str]:
    outcomes = {}
    with single_threaded():
        for trial in trials:

            def progress(step: int, steps: int, loss: float, trial_id: str = trial.id) -> None:
                observer.advanced(trial_id, step, steps, loss)

            outcomes[trial.id] = record(trial, run, device, progress)
            observer.finished(trial.id, outcomes[trial.id])
    return outcomes
