"""Trials in processes of this machine, which speak with this one over pipes alone.

Nothing listens, so nobody else can reach them. A process is given one trial at a time, or a group
that trains as one program: whatever ends it is the fault of one of these, or of what ends processes
from outside, and costs no other. A group whose process ended runs once more, and then goes on trial
by trial.
"""

from __future__ import annotations

import contextlib
import queue
import time
from collections import Counter, deque
from collections.abc import Sequence
from types import TracebackType

from gradscope.errors import GradscopeError, StorageError
from gradscope.experiment.observer import Observer
from gradscope.experiment.pool_memory import Memory
from gradscope.experiment.pool_process import Event, WorkerProcess, greeting
from gradscope.experiment.schema import Trial
from gradscope.results.records import RunDirectory

#: times that a trial may lose its process before it has failed
_LIVES = 3
#: the same where it was for want of memory; the last time it runs alone
_LIVES_FOR_MEMORY = 2
#: processes in a row that may end before they can be used
_STARTS = 3
#: seconds between two looks at what processes hold
_LOOK = 0.5


def run_in_pool(
    groups: Sequence[Sequence[Trial]],
    run: RunDirectory,
    observer: Observer,
    device: str,
    workers: int,
) -> dict[str, str]:
    """Run trials in processes of this machine; trial id to what became of the trial.

    Args:
        groups: what to run, in this order; each group as one program.
        run: where to record it.
        observer: is told of progress.
        device: torch device of every trial.
        workers: processes at most.

    Raises:
        StorageError: if something cannot be written; what is recorded stays.
        PluginError: for a plugin that has changed since it was loaded here.
        GradscopeError: if processes cannot be started, or cannot import a component.
    """
    with _Pool(groups, run, observer, device, workers) as pool:
        return pool.outcomes()


class _Pool:
    """Processes, the trials that they run, and those that wait.

    Args:
        groups: what to run.
        run: where to record it.
        observer: is told of progress.
        device: torch device of every trial.
        workers: processes at most.
    """

    def __init__(
        self,
        groups: Sequence[Sequence[Trial]],
        run: RunDirectory,
        observer: Observer,
        device: str,
        workers: int,
    ):
        self.waiting = deque(groups)
        self.run, self.observer, self.wanted = run, observer, min(workers, len(groups))
        self.greeting = greeting(run.path, device)
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.workers: list[WorkerProcess] = []
        self.deaths: Counter[str] = Counter()
        #: trials that lost their process for want of memory, and run alone from then on
        self.alone: set[str] = set()
        self.memory = Memory()
        self.failed_starts = 0
        self.became: dict[str, str] = {}

    def __enter__(self) -> _Pool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        for worker in self.workers:
            worker.kill()

    def outcomes(self) -> dict[str, str]:
        """Run everything; trial id to what became of the trial."""
        while self.waiting or any(worker.is_busy for worker in self.workers):
            self._start_processes()
            self._hand_out()
            for worker in self.workers:
                worker.look()
            with contextlib.suppress(queue.Empty):
                self._take_in(self.events.get(timeout=_LOOK))
        return self.became

    def _start_processes(self) -> None:
        busy = sum(worker.is_busy for worker in self.workers)
        while len(self.workers) < min(self.wanted, busy + len(self.waiting)):
            self.workers.append(WorkerProcess(self.greeting, self.events))

    def _hand_out(self) -> None:
        """Give every process that is free the next trials, if they may run now."""
        for worker in self.workers:
            running = [trial for w in self.workers if w.is_busy for trial in w.trials]
            if not worker.is_free or not self.waiting:
                continue
            if any(trial.id in self.alone for trial in running):
                return
            if self.waiting[0][0].id in self.alone and running:
                return
            self.memory.remember()
            worker.give(self.waiting.popleft())

    # --- what processes say -----------------------------------------------------------------------

    def _take_in(self, event: Event) -> None:
        worker, message = event.worker, event.message
        if message is None:
            self._ended(worker)
        elif "ready" in message:
            worker.is_ready, self.failed_starts = True, 0
        elif "unusable" in message:
            raise worker.error(message)
        elif "no_room" in message:
            raise StorageError(str(message["no_room"]))
        elif "progress" in message:
            progress = message["progress"]
            assert isinstance(progress, list)
            self.observer.advanced(*progress)
        elif "outcome" in message:
            outcome = message["outcome"]
            assert isinstance(outcome, list)
            worker.trials = [trial for trial in worker.trials if trial.id != outcome[0]]
            self._became(*outcome)
        elif "done" in message:
            worker.is_busy = False

    def _became(self, trial_id: str, outcome: str) -> None:
        self.became[trial_id] = outcome
        self.observer.finished(trial_id, outcome)

    def _ended(self, worker: WorkerProcess) -> None:
        """A process is gone: run its trials again, or write down that one has failed."""
        self.workers.remove(worker)
        worker.kill()
        if not worker.is_ready:
            self._could_not_start(worker)
        left = [trial for trial in worker.trials if not self.run.ledger_is_there(trial.id)]
        if len(worker.group) == 1:
            for trial in left:
                self._ended_by(trial, worker)
        elif left:
            self._ended_together(worker.group, left, worker)

    def _ended_together(
        self, group: Sequence[Trial], left: Sequence[Trial], worker: WorkerProcess
    ) -> None:
        """The process of a group is gone: run it once more; then whose fault it is will be seen."""
        for_memory = worker.was_killed and self.memory.ran_out()
        key = group[0].id
        self.deaths[key] += 1
        if self.deaths[key] == 1 and not for_memory:
            self.waiting.appendleft(group)
            return
        self.deaths[key] = 0
        self.waiting.extendleft([trial] for trial in reversed(left))

    def _ended_by(self, trial: Trial, worker: WorkerProcess) -> None:
        """The process that ran this trial by itself is gone."""
        self.deaths[trial.id] += 1
        for_memory = worker.was_killed and self.memory.ran_out()
        if for_memory:
            self.alone.add(trial.id)
        if self.deaths[trial.id] < (_LIVES_FOR_MEMORY if trial.id in self.alone else _LIVES):
            # at the end, so that what may end others runs when they are done
            (self.waiting.append if for_memory else self.waiting.appendleft)([trial])
            return
        times = self.deaths[trial.id]
        why = self.memory.said(worker.peak) if for_memory else worker.how_it_ended(times)
        self.run.write_failure(trial.id, why, worker.last_words())
        self._became(trial.id, "failed")

    def _could_not_start(self, worker: WorkerProcess) -> None:
        self.failed_starts += 1
        if self.failed_starts >= _STARTS:
            raise GradscopeError(
                f"worker processes cannot be started here ({worker.how_it_ended(1)}); "
                f"try again, or use one worker, which needs none. {worker.last_words()}".rstrip()
            )
        time.sleep(0.2 * self.failed_starts)
