"""Trials on their way to trackers: each is logged when it is recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gradscope.results.records import RunDirectory
from gradscope.tracking.recorded import read
from gradscope.tracking.tracker import Tracker

#: trials in a row that a tracker may fail to take
_TIMES = 3


class Tracking:
    """Is told of progress, and logs every trial that is recorded.

    It runs where the trials are handed out, whatever runs them, and reads what they have recorded.
    A tracker that fails is said once, and given up when it has failed three times in a row.

    Args:
        trackers: to log to.
        run: where trials are recorded.
        warn: is told of a tracker that fails, in a sentence.
    """

    def __init__(
        self, trackers: Sequence[Tracker], run: RunDirectory, warn: Callable[[str], object]
    ):
        self.run, self.warn = run, warn
        self.failures = dict.fromkeys(trackers, 0)
        self.said: set[Tracker] = set()

    def advanced(self, trial: str, train_step: int, steps: int, loss: float) -> None:
        """Nothing: a trial is logged whole."""

    def finished(self, trial: str, outcome: str) -> None:
        """Log the trial, if it is recorded."""
        if outcome == "failed":
            return
        for tracker in [one for one, times in self.failures.items() if times < _TIMES]:
            try:
                tracker.write(read(self.run, trial))
                self.failures[tracker] = 0
            except Exception as error:  # whatever a tracker meets, trials go on
                self.failures[tracker] += 1
                self._say(tracker, trial, error)

    def _say(self, tracker: Tracker, trial: str, error: Exception) -> None:
        if tracker not in self.said:
            self.said.add(tracker)
            self.warn(
                f"{tracker.title} did not take the trial {trial} ({type(error).__name__}: "
                f"{error}); the run goes on, and of further failures nothing is said"
            )
