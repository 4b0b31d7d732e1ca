"""Trials on a Dask cluster that somebody else has started, reached by its scheduler's address."""

from __future__ import annotations

import logging
import os
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from gradscope.errors import GradscopeError, MissingPackageError, StorageError
from gradscope.experiment.observer import Observer
from gradscope.experiment.scheduler import Scheduler
from gradscope.experiment.schema import Trial
from gradscope.experiment.worker import (
    Plugins,
    load_unchanged,
    paced,
    plugins_needed,
    record_all,
    single_threaded,
    trial_of,
)
from gradscope.results.records import RunDirectory

try:
    from distributed import Client, Future, as_completed, get_worker
    from distributed.security import Security
except ImportError as error:
    raise MissingPackageError(
        "Dask is not installed; 'pip install gradscope-dynamics[cluster]' brings it"
    ) from error

_TOPIC = "gradscope-progress"


def run_on(
    scheduler: Scheduler | str,
    groups: Sequence[Sequence[Trial]],
    run: RunDirectory,
    observer: Observer,
    device: str,
) -> dict[str, str]:
    """Run trials on the workers of a cluster; trial id to what became of the trial.

    No more trials are sent than the workers run at once, so that a worker that dies takes along
    only those which it ran. A group trains as one program; one that fails goes on trial by trial.

    Raises:
        GradscopeError: if no scheduler answers at the address.
        StorageError: if something cannot be written; what is recorded stays.
    """
    with _client(scheduler) as client:
        client.subscribe_topic(_TOPIC, lambda event: observer.advanced(*event[1]))
        return _Sending(client, groups, run, observer, device).outcomes()


@contextmanager
def _client(scheduler: Scheduler | str) -> Iterator[Client]:
    """A client of the scheduler, closed at the end."""
    if isinstance(scheduler, str):
        scheduler = Scheduler(scheduler)
    quiet = logging.getLogger("distributed")
    level = quiet.level
    quiet.setLevel(logging.CRITICAL)
    try:
        try:
            security = _security(scheduler)
            client = Client(scheduler.address, security=security, set_as_default=False, timeout=10)
        except (OSError, ValueError, TypeError, RuntimeError) as error:  # a time-out is an OSError
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise GradscopeError(
                f"no Dask scheduler answers at {scheduler.address!r} (such as tls://host:8786): "
                f"{reason}"
            ) from None
        with client, single_threaded():
            yield client
    finally:
        quiet.setLevel(level)


def _security(scheduler: Scheduler) -> Security | None:
    """Dask's form of the certificates; None leaves it to Dask's configuration."""
    if not scheduler.has_certificates:
        return None
    return Security(
        tls_ca_file=scheduler.ca_file,
        tls_client_cert=scheduler.cert,
        tls_client_key=scheduler.key,
        require_encryption=True,
    )


class _Sending:
    """Trials on their way to workers, and those that wait."""

    def __init__(
        self,
        client: Client,
        groups: Sequence[Sequence[Trial]],
        run: RunDirectory,
        observer: Observer,
        device: str,
    ):
        self.client, self.waiting = client, deque(groups)
        self.run, self.observer, self.device = run, observer, device
        self.run_key = uuid.uuid4().hex[:8]  # the same trial may be on its way to another directory
        self.path = os.fspath(run.path.absolute())
        self.plugins = plugins_needed()
        self.became: dict[str, str] = {}

    def outcomes(self) -> dict[str, str]:
        """Run everything; trial id to what became of the trial."""
        sent: dict[Future, Sequence[Trial]] = {}
        arriving = as_completed(loop=self.client.loop, raise_errors=False)
        arriving.update(self._more(sent))
        for future in arriving:
            self._take_in(future, sent.pop(future))
            arriving.update(self._more(sent))
        return self.became

    def _more(self, sent: dict[Future, Sequence[Trial]]) -> list[Future]:
        """Send trials until every thread of every worker has one."""
        futures = []
        threads = self.client.nthreads()
        assert isinstance(threads, dict)  # a coroutine only where the client is asynchronous
        while self.waiting and len(sent) < max(1, sum(threads.values())):
            group = self.waiting.popleft()
            future = self.client.submit(
                _run_trials,
                {trial.id: trial.resolved for trial in group},
                self.plugins,
                self.path,
                self.device,
                key=f"{group[0].id}-{len(group)}-{self.run_key}",
                pure=False,
            )
            sent[future] = group
            futures.append(future)
        return futures

    def _take_in(self, future: Future, group: Sequence[Trial]) -> None:
        if future.status == "finished":
            outcomes = future.result()
            assert isinstance(outcomes, dict)
        else:
            error = future.exception()
            if isinstance(error, StorageError):  # the others would meet it too
                raise error
            if len(group) > 1:  # whose fault it was will be seen
                self.waiting.extendleft([trial] for trial in group)
                outcomes = {}
            else:
                self.run.write_failure(group[0].id, str(error), repr(error))
                outcomes = {group[0].id: "failed"}
        for trial_id, outcome in outcomes.items():
            self.became[trial_id] = str(outcome)
            self.observer.finished(trial_id, self.became[trial_id])


def _run_trials(
    settings: dict[str, dict[str, object]], plugins: Plugins, path: str, device: str
) -> dict[str, str]:
    """Run trials on a worker, from their plain settings; what became of each."""
    load_unchanged(plugins)
    trials, worker = [trial_of(resolved, key) for key, resolved in settings.items()], get_worker()

    def advanced(*progress: str | float) -> None:
        worker.log_event(_TOPIC, progress)

    with single_threaded():
        return dict(record_all(trials, RunDirectory(path), device, paced(advanced)))
