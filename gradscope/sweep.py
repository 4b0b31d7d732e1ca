"""Trials over an executor: in process, a pool of processes, or any Dask cluster.

A trial is idempotent, writes its own shards and returns only what became of it, so a dead worker costs a retry and nothing
else. Workers run single-threaded: small matrix products are far faster so, and results do not depend on their number.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from gradscope.config import Experiment, Settings, Trial
from gradscope.options import dump, validated
from gradscope.records import RunDirectory

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
    trials = [{"id": t.id, "configuration": t.configuration, "axes": t.axes, "settings": t.resolved} for t in experiment.trials]
    description = {key: value for key, value in dump(experiment.header).items() if key != "name"}
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
) -> dict[str, str]:
    """Run the trials that are missing; trial id -> solved, unsolved, diverged or failed.

    Args:
        experiment: what to run.
        run: where to record it.
        observer: told of progress.
        workers: 1 runs in this process, more in as many processes of a Dask LocalCluster.
        scheduler: address of a Dask scheduler to use instead; its workers must see the run directory under the same path.
        device: torch device of every trial.

    Raises:
        RunDirectoryError: as ``RunDirectory.prepare``.
        KeyboardInterrupt: passed on; what is recorded stays, and a second run does the rest.
    """
    missing = prepare(experiment, run, device)
    if not missing:
        return {}
    if scheduler is None and min(workers, len(missing)) <= 1:
        return _in_process(missing, run, observer, device)
    return _on_cluster(missing, run, observer, device, min(workers, len(missing)), scheduler)


def _in_process(trials: list[Trial], run: RunDirectory, observer: Observer, device: str) -> dict[str, str]:
    outcomes = {}
    with _single_threaded():
        for trial in trials:

            def progress(step: int, steps: int, loss: float, trial_id: str = trial.id) -> None:
                observer.advanced(trial_id, step, steps, loss)

            outcomes[trial.id] = _record(trial, run, device, progress)
            observer.finished(trial.id, outcomes[trial.id])
    return outcomes


def _on_cluster(
    trials: list[Trial], run: RunDirectory, observer: Observer, device: str, workers: int, scheduler: str | None
) -> dict[str, str]:
    import dask
    from distributed import Client, LocalCluster, as_completed

    outcomes: dict[str, str] = {}
    quiet = {
        "distributed.worker.daemon": True,
        "distributed.logging.distributed": "error",
        "distributed.nanny.environ": _ONE_THREAD,
        "distributed.nanny.pre-spawn-environ": _ONE_THREAD,
    }
    with dask.config.set(quiet), _single_threaded():
        options: dict[str, Any] = {"processes": True, "dashboard_address": None, "silence_logs": "ERROR"}
        cluster = LocalCluster(n_workers=workers, threads_per_worker=1, **options) if scheduler is None else None
        try:
            with Client(scheduler or cluster, set_as_default=False) as client:
                client.subscribe_topic(_TOPIC, lambda event: observer.advanced(*event[1]))
                futures = {
                    client.submit(
                        _remote,
                        trial.resolved,
                        trial.id,
                        os.fspath(run.path.absolute()),
                        device,
                        key=trial.id,
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
                        run.write_json("failures", trial_id, {"error": str(error), "traceback": repr(error)})
                        outcomes[trial_id] = "failed"
                    observer.finished(trial_id, outcomes[trial_id])
        finally:
            if cluster is not None:
                cluster.close()
    return outcomes


def _remote(resolved: dict[str, Any], trial_id: str, path: str, device: str) -> str:
    """A trial on a worker: rebuilt from its plain settings."""
    from distributed import get_worker

    trial = Trial(settings=validated(Settings, resolved, owner="the experiment"), configuration="", axes={})
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
    from gradscope.train import run_trial

    try:
        outcome = run_trial(trial, device=device, progress=progress)
        run.write_trial(trial.id, outcome.tables, outcome.seconds)
        return outcome.tables["trials"]["outcome"][0]
    except Exception as error:
        run.write_json("failures", trial.id, {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()})
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
