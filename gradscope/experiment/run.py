"""Trials over an executor: in process, a pool of processes, or any Dask cluster.

A trial is idempotent, writes its own shards and returns only what became of it, so a dead worker
costs a retry and nothing else. Workers run single-threaded: small matrix products are far faster
so, and results do not depend on their number.
"""

from __future__ import annotations

import inspect
import os
import signal
import threading
import time
import traceback
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch

from gradscope.components.options import as_mapping, components_in, validated
from gradscope.components.plugins import load_plugin, plugins_of
from gradscope.components.registry import load_entry_points
from gradscope.errors import GradscopeError, PluginError
from gradscope.experiment.load import Experiment
from gradscope.experiment.schema import Settings, Trial
from gradscope.experiment.train import Progress, run_trial
from gradscope.results.manifest import (
    Manifest,
    PluginEntry,
    Prediction,
    TaskAbout,
    TrialEntry,
)
from gradscope.results.records import RunDirectory
from gradscope.tasks import Task

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster

_TOPIC = "gradscope-progress"
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
#: what processes of a local cluster are told; its words about restarts are for those who debug it
_QUIET = {
    "distributed.worker.daemon": True,
    "distributed.logging.distributed": "critical",
    "distributed.nanny.environ": _ONE_THREAD,
    "distributed.nanny.pre-spawn-environ": _ONE_THREAD,
}


@runtime_checkable
class Observer(Protocol):
    """Who watches a sweep: a progress display, or a test."""

    def advanced(self, trial: str, train_step: int, steps: int, loss: float) -> None:
        """A trial in flight has come this far."""

    def finished(self, trial: str, outcome: str) -> None:
        """A trial is recorded (solved, unsolved, diverged) or has failed."""


def manifest_of(experiment: Experiment) -> Manifest:
    """What a run's manifest says of its experiment; date and provenance are left open."""
    header, tasks = experiment.header, [trial.settings.task for trial in experiment.trials]
    components = [*components_in(header)]
    for trial in experiment.trials:
        components += components_in(trial.settings)
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
            for plugin in plugins_of(components)
        ],
        packages=dict(load_entry_points()),
        trials=[
            TrialEntry(
                id=trial.id,
                configuration=trial.configuration,
                axes=trial.axes,
                settings=trial.resolved,
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
    """Make the run directory ready and return the trials that are missing from it.

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
    """Run the trials that are missing; trial id -> solved, unsolved, diverged or failed.

    Args:
        experiment: what to run.
        run: where to record it.
        observer: told of progress.
        workers: 1 runs in this process, more in as many processes of a Dask LocalCluster.
        scheduler: address of a Dask scheduler to use instead; its workers must see the run
            directory, and the plugins, under the same paths.
        device: torch device of every trial.
        missing: what ``prepare`` returned, where it has been called; None is to call it.

    Raises:
        RunDirectoryError: as ``RunDirectory.prepare``.
        GradscopeError: if no scheduler answers at the address.
        KeyboardInterrupt: passed on; what is recorded stays, and a second run does the rest.
    """
    missing = prepare(experiment, run, device) if missing is None else missing
    if not missing:
        return {}
    if scheduler is None and min(workers, len(missing)) <= 1:
        return _in_process(missing, run, observer, device)
    with _cluster(scheduler, min(workers, len(missing))) as client:
        outcomes = _on_cluster(client, missing, run, observer, device)
    for trial in set(outcomes) - run.done():
        if outcomes[trial] != "failed":
            reason = (
                "its worker recorded it elsewhere: workers must see the run directory under the "
                "same path"
            )
            run.write_json("failures", trial, {"error": reason, "traceback": ""})
            outcomes[trial] = "failed"
    return outcomes


# --- in this process -------------------------------------------------------------------------------


def _in_process(
    trials: Sequence[Trial], run: RunDirectory, observer: Observer, device: str
) -> dict[str, str]:
    outcomes = {}
    with single_threaded():
        for trial in trials:

            def progress(step: int, steps: int, loss: float, trial_id: str = trial.id) -> None:
                observer.advanced(trial_id, step, steps, loss)

            outcomes[trial.id] = _record(trial, run, device, progress)
            observer.finished(trial.id, outcomes[trial.id])
    return outcomes


def _record(trial: Trial, run: RunDirectory, device: str, progress: Progress) -> str:
    """Train a trial and write its shards, or why it failed."""
    try:
        outcome = run_trial(trial, device=device, progress=progress)
        run.write_trial(trial.id, outcome.tables, outcome.seconds, outcome.weights)
        return outcome.fate
    except Exception as error:
        content = {
            "error": f"{type(error).__name__}: {error}",
            "traceback": traceback.format_exc(),
        }
        run.write_json("failures", trial.id, content)
        return "failed"


@contextmanager
def single_threaded() -> Iterator[None]:
    """torch uses one thread within."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# --- on a cluster ----------------------------------------------------------------------------------


@contextmanager
def _cluster(scheduler: str | None, workers: int) -> Iterator[Client]:
    """A client of the scheduler at an address, or of a cluster of processes made for it."""
    import dask
    import distributed  # noqa: F401 - whose own configuration must be there before it is changed

    with dask.config.set(_QUIET), single_threaded():
        cluster = _processes(workers) if scheduler is None else None
        try:
            with _client(scheduler or cluster) as client:
                yield client
        finally:
            if cluster is not None:
                cluster.close()


def _processes(workers: int) -> LocalCluster:
    from distributed import LocalCluster

    with _deaf_to_interrupts():
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            silence_logs="CRITICAL",
        )


def _client(address: LocalCluster | str | None) -> Client:
    """A client of the cluster, or of the scheduler at an address.

    Raises:
        GradscopeError: if nothing answers there.
    """
    from distributed import Client

    try:
        return Client(address, set_as_default=False, timeout=10)
    except (OSError, ValueError, TypeError) as error:  # a time-out is an OSError
        if not isinstance(address, str):
            raise
        raise GradscopeError(
            f"no Dask scheduler answers at {address!r} (such as tcp://host:8786): {error}"
        ) from None


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes started within ignore Ctrl-C: it is the parent that ends them, in order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _on_cluster(
    client: Client,
    trials: Sequence[Trial],
    run: RunDirectory,
    observer: Observer,
    device: str,
) -> dict[str, str]:
    from distributed import as_completed

    client.subscribe_topic(_TOPIC, lambda event: observer.advanced(*event[1]))
    run_key = uuid.uuid4().hex[:8]  # the same trial may be on its way to another directory
    path = os.fspath(run.path.absolute())
    futures: dict[Future, str] = {
        client.submit(
            _remote,
            trial.resolved,
            trial.id,
            [(str(p.path), p.sha256) for p in plugins_of(components_in(trial.settings))],
            path,
            device,
            key=f"{trial.id}-{run_key}",
            pure=False,
            retries=2,
            priority=-place,
        ): trial.id
        for place, trial in enumerate(trials)
    }
    outcomes: dict[str, str] = {}
    for future in as_completed(futures, loop=client.loop, raise_errors=False):
        trial_id = futures[future]
        if future.status == "finished":
            outcomes[trial_id] = str(future.result())
        else:
            error = future.exception()
            content = {"error": str(error), "traceback": repr(error)}
            run.write_json("failures", trial_id, content)
            outcomes[trial_id] = "failed"
        observer.finished(trial_id, outcomes[trial_id])
    return outcomes


def _remote(
    resolved: dict[str, object],
    trial_id: str,
    plugins: list[tuple[str, str]],
    path: str,
    device: str,
) -> str:
    """A trial on a worker: rebuilt from its plain settings."""
    from distributed import get_worker

    for plugin, digest in plugins:
        if load_plugin(plugin).sha256 != digest:
            raise PluginError(f"{plugin}: has changed since the run began")
    settings = validated(Settings, resolved, owner="the experiment")
    trial = Trial(settings=settings, configuration="", axes={})
    assert trial.id == trial_id, "the settings did not survive the way to the worker"
    worker, last = get_worker(), 0.0

    def progress(step: int, steps: int, loss: float) -> None:
        nonlocal last
        if time.monotonic() - last > 0.5:
            last = time.monotonic()
            worker.log_event(_TOPIC, (trial_id, step, steps, loss))

    with single_threaded():
        return _record(trial, RunDirectory(path), device, progress)
