"""Noting: what a sweep is at is told to the run directory too, for whoever watches it there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from gradscope.experiment.observer import Observer
from gradscope.experiment.pace import Pace
from gradscope.experiment.schema import Trial
from gradscope.results import running
from gradscope.results.running import Running, Taken

#: seconds between two writings
_PAUSE = 1.0


class Noting:
    """Tells an observer, and writes what runs and how long the rest takes (``Running``).

        with Noting(observer, missing, run.path) as noting:
            ...

    It writes at most once a second, and nothing that it writes outlasts the block.

    Args:
        observer: is told of everything at once.
        trials: that are run.
        folder: the run directory.
    """

    def __init__(self, observer: Observer, trials: Sequence[Trial], folder: Path):
        self._observer, self._folder, self._pace = observer, folder, Pace(trials)
        self._running: dict[str, Taken] = {}
        self._failed: list[str] = []
        self._written = time.monotonic()

    def __enter__(self) -> Noting:
        self._write()
        return self

    def __exit__(self, *error: object) -> None:
        running.remove(self._folder)

    def advanced(self, trial: str, train_step: int, steps: int, loss: float) -> None:
        """A running trial has taken ``train_step`` of at most ``steps`` optimiser steps."""
        self._observer.advanced(trial, train_step, steps, loss)
        self._pace.advanced(trial, train_step)
        self._running[trial] = Taken(train_step, steps, loss)
        self._write_in_time()

    def finished(self, trial: str, outcome: str) -> None:
        """A trial is recorded, or has failed."""
        self._observer.finished(trial, outcome)
        self._pace.finished(trial)
        self._running.pop(trial, None)
        if outcome == "failed":
            self._failed.append(trial)
        self._write_in_time()

    def _write_in_time(self) -> None:
        if time.monotonic() - self._written >= _PAUSE:
            self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        left = self._pace.seconds_left()
        Running(seconds_left=left, trials=self._running, failed=self._failed).write(self._folder)
