"""Trials on a Dask cluster: processes on this machine, or a scheduler at an address."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import dask.config
from distributed import Client, Future, LocalCluster, as_completed, get_worker

from gradscope.components.options import validated
from gradscope.components.plugins import load_plugin, plugins_of_runs
from gradscope.errors import GradscopeError, PluginError, StorageError
from gradscope.experiment.observer import Observer
from gradscope.experiment.schema import Settings, Trial
from gradscope.experiment.worker import check_unchanged, record, single_threaded
from gradscope.results.records import RunDirectory

_TOPIC = "gradscope-progress"
#: seconds between a worker's messages about a trial's progress
_PACE = 0.5
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
#: Dask's settings for a local cluster; its messages about restarts serve only who debugs it
_QUIET = {
    "distributed.worker.daemon": True,
    "distributed.logging.distributed": "critical",
    "distributed.nanny.environ": _ONE_THREAD,
    "distributed.nanny.pre-spawn-environ": _ONE_THREAD,
}


@contextmanager
def connected(scheduler: str | None, workers: int) -> Iterator[Client]:
    """A client of the scheduler at an address, or of a cluster of processes on this machine.

    Args:
        scheduler: the address; None starts a cluster and closes it at the end.
        workers: processes of that cluster.

    Raises:
        GradscopeError: if no scheduler answers at the address, or processes cannot be started.
    """
    with dask.config.set(_QUIET), single_threaded():
        cluster = _processes(workers) if scheduler is None else None
        try:
            with _client(scheduler or cluster) as client:
                yield client
        finally:
            if cluster is not None:
                cluster.close()


def _processes(workers: int) -> LocalCluster:
    try:
        with _deaf_to_interrupts():
            return LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
            )
    except RuntimeError as error:  # of a process that has ended before it could be used
        reason = str(error).rstrip(".")
        raise GradscopeError(
            f"{workers} worker processes could not be started: {reason}; a script that asks for "
            "workers has to do so under 'if __name__ == \"__main__\":', as each of them imports it"
        ) from None


def _client(address: LocalCluster | str | None) -> Client:
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
    """A context in which processes that are started ignore Ctrl-C; the parent ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def run_on(
    client: Client, trials: Sequence[Trial], run: RunDirectory, observer: Observer, device: str
) -> dict[str, str]:
    """Run trials on the workers of a cluster; trial id to what became of the trial."""
    client.subscribe_topic(_TOPIC, lambda event: observer.advanced(*event[1]))
    run_key = uuid.uuid4().hex[:8]  # the same trial may be on its way to another directory
    path = os.fspath(run.path.absolute())
    plugins = [(str(plugin.path), plugin.sha256) for plugin in plugins_of_runs()]
    futures: dict[Future, str] = {}
    for place, trial in enumerate(trials):
        future = client.submit(
            _run_trial,
            trial.resolved,
            trial.id,
            plugins,
            path,
            device,
            key=f"{trial.id}-{run_key}",
            pure=False,
            priority=-place,
        )
        futures[future] = trial.id
    outcomes: dict[str, str] = {}
    for future in as_completed(futures, loop=client.loop, raise_errors=False):
        trial_id = futures[future]
        if future.status == "finished":
            outcomes[trial_id] = str(future.result())
        else:
            error = future.exception()
            if isinstance(error, StorageError):  # the others would meet it too
                raise error
            run.write_failure(trial_id, str(error), repr(error))
            outcomes[trial_id] = "failed"
        observer.finished(trial_id, outcomes[trial_id])
    return outcomes


def _run_trial(
    resolved: dict[str, object],
    trial_id: str,
    plugins: list[tuple[str, str]],
    path: str,
    device: str,
) -> str:
    """Run a trial on a worker, from its plain settings."""
    for plugin, digest in plugins:
        if load_plugin(plugin).sha256 != digest:
            raise PluginError(f"{plugin}: has changed since the run began")
    settings = validated(Settings, resolved, owner="the experiment")
    trial = check_unchanged(settings, trial_id)
    worker, last = get_worker(), 0.0

    def progress(step: int, steps: int, loss: float) -> None:
        nonlocal last
        if time.monotonic() - last > _PACE:
            last = time.monotonic()
            worker.log_event(_TOPIC, (trial_id, step, steps, loss))

    with single_threaded():
        return record(trial, RunDirectory(path), device, progress)
