"""Trials over an executor: in process, a pool of processes, or any Dask cluster.

A trial is idempotent, writes its own shards and returns only what became of it, so a dead worker
costs a retry and nothing else. Workers run single-threaded: small matrix products are far faster
so, and results do not depend on their number.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from gradscope.components.options import dump, validated
from gradscope.errors import GradscopeError
from gradscope.experiment.schema import Experiment, Settings, Trial
from gradscope.results.records import RunDirectory

_TOPIC = "gradscope-progress"
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Observer(Protocol):
    """Who watches a sweep: a progress display, or a test."""

    def advanced(self, trial: str, train_step: int, steps: int, loss: float) -> None:
        """A trial in flight has come this far."""

    def finished(self, trial: str, outcome: str) -> None:
        """A trial is recorded (solved, unsolved, diverged) or has failed."""


def prepare(experiment: Experiment, run: RunDirectory, device: str) -> list[Trial]:
    """Make the run directory ready and return the trials that are missing from it."""
    trials = [
        {"id": t.id, "configuration": t.configuration, "axes": t.axes, "settings": t.resolved}
        for t in experiment.trials
    ]
    description = {key: value for key, value in dump(experiment.header).items() if key != "name"}
    tasks = {trial.settings.task.name: type(trial.settings.task) for trial in experiment.trials}
    description["tasks"] = {
        name: {"about": (task.__doc__ or "").split("\n")[0], "criterion": task.criterion}
        for name, task in tasks.items()
    }
    run.prepare(experiment.name, description, trials, device)
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
            directory under the same path.
        device: torch device of every trial.
        missing: what ``prepare`` returned, where it has been called; None is to call it.

    Raises:
        RunDirectoryError: as ``RunDirectory.prepare``.
        KeyboardInterrupt: passed on; what is recorded stays, and a second run does the rest.
    """
    missing = prepare(experiment, run, device) if missing is None else missing
    if not missing:
        return {}
    if scheduler is None and min(workers, len(missing)) <= 1:
        return _in_process(missing, run, observer, device)
    outcomes = _on_cluster(missing, run, observer, device, min(workers, len(missing)), scheduler)
    for trial in set(outcomes) - run.done():
        if outcomes[trial] != "failed":
            reason = (
                "its worker recorded it elsewhere: workers must see the run directory under the"
                " same path"
            )
            run.write_json("failures", trial, {"error": reason, "traceback": ""})
            outcomes[trial] = "failed"
    return outcomes


def _in_process(
    trials: list[Trial], run: RunDirectory, observer: Observer, device: str
) -> dict[str, str]:
    outcomes = {}
    with _single_threaded():
        for trial in trials:

            def progress(step: int, steps: int, loss: float, trial_id: str = trial.id) -> None:
                observer.advanced(trial_id, step, steps, loss)

            outcomes[trial.id] = _record(trial, run, device, progress)
            observer.finished(trial.id, outcomes[trial.id])
    return outcomes


def _on_cluster(
    trials: list[Trial],
    run: RunDirectory,
    observer: Observer,
    device: str,
    workers: int,
    scheduler: str | None,
) -> dict[str, str]:
    import dask
    from distributed import LocalCluster, as_completed

    outcomes: dict[str, str] = {}
    quiet = {
        "distributed.worker.daemon": True,
        "distributed.logging.distributed": "critical",
        "distributed.nanny.environ": _ONE_THREAD,
        "distributed.nanny.pre-spawn-environ": _ONE_THREAD,
    }
    with dask.config.set(quiet), _single_threaded():
        cluster = None
        if scheduler is None:
            options: dict[str, Any] = {
                "processes": True,
                "dashboard_address": "127.0.0.1:0",
                "silence_logs": "CRITICAL",
            }
            with _deaf_to_interrupts():
                cluster = LocalCluster(n_workers=workers, threads_per_worker=1, **options)
        try:
            with _client(scheduler or cluster) as client:
                client.subscribe_topic(_TOPIC, lambda event: observer.advanced(*event[1]))
                run_key = uuid.uuid4().hex[
                    :8
                ]  # the same trial may be on its way to another directory
                futures = {
                    client.submit(
                        _remote,
                        trial.resolved,
                        trial.id,
                        os.fspath(run.path.absolute()),
                        device,
                        key=f"{trial.id}-{run_key}",
                        pure=False,
                        retries=2,
                        priority=-place,
                    ): trial.id
                    for place, trial in enumerate(trials)
                }
                for future in as_completed(futures, loop=client.loop, raise_errors=False):
                    trial_id = futures[future]
                    if future.status == "finished":
                        outcomes[trial_id] = future.result()
                    else:
                        error = future.exception()
                        run.write_json(
                            "failures", trial_id, {"error": str(error), "traceback": repr(error)}
                        )
                        outcomes[trial_id] = "failed"
                    observer.finished(trial_id, outcomes[trial_id])
        finally:
            if cluster is not None:
                cluster.close()
    return outcomes


def _client(address: Any) -> Any:
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


def _remote(resolved: dict[str, Any], trial_id: str, path: str, device: str) -> str:
    """A trial on a worker: rebuilt from its plain settings."""
    from distributed import get_worker

    trial = Trial(
        settings=validated(Settings, resolved, owner="the experiment"), configuration="", axes={}
    )
    assert trial.id == trial_id, "the settings did not survive the way to the worker"
    worker, last = get_worker(), 0.0

    def progress(step: int, steps: int, loss: float) -> None:
        nonlocal last
        if time.monotonic() - last > 0.5:
            last = time.monotonic()
            worker.log_event(_TOPIC, (trial_id, step, steps, loss))

    with _single_threaded():
        return _record(trial, RunDirectory(path), device, progress)


def _record(trial: Trial, run: RunDirectory, device: str, progress: Any) -> str:
    from gradscope.experiment.train import run_trial

    try:
        outcome = run_trial(trial, device=device, progress=progress)
        run.write_trial(trial.id, outcome.tables, outcome.seconds, outcome.weights)
        return outcome.tables["trials"]["outcome"][0]
    except Exception as error:
        run.write_json(
            "failures",
            trial.id,
            {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()},
        )
        return "failed"


@contextmanager
def _single_threaded() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
