"""How much of a sweep is done, how long the rest takes at most, and what its trials are called."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from gradscope.components.quantities import clock
from gradscope.experiment.schema import Trial
from gradscope.experiment.sizes import update_work
from gradscope.results.manifest import label_of

#: seconds before anything is told: so little says nothing
_FIRST = 5.0
#: seconds over which throughput is averaged at least, and the share of the time so far
_WINDOW, _SHARE = 30.0, 0.25
#: how far an estimate may lie below what was told, and above it, before another is told
_BELOW, _ABOVE, _SLACK = 0.9, 1.25, 5.0


class Pace:
    """The time left, from the work that is done and the work that is left.

    The work of a trial is that of its updates, by the size of the sequences and of the cell, so
    that a long task counts more than a short one. Throughput is the work of the last while (at
    least 30 seconds, and a quarter of the time so far), the latest weighing most.

    What is told runs down as a clock that is slow where the estimate is higher, and fast where it
    is lower, so that it ends when the estimate does. It is set anew where the estimate is lower by
    a tenth, and where it is higher by a quarter and five seconds: that alone, and no noise within
    it, moves it up. In the first five seconds nothing is told. It is an upper estimate, as a trial
    may stop early.
    """

    def __init__(self, trials: Sequence[Trial]):
        works = {trial.id: update_work(trial.settings) for trial in trials}
        most = max(works.values(), default=1.0)
        self._work = {trial: work / most for trial, work in works.items()}
        self._steps = {trial.id: trial.settings.training.steps for trial in trials}
        self._taken = dict.fromkeys(self._work, 0)
        self.total = sum(self._work[trial] * self._steps[trial] for trial in self._work)
        self.done = 0.0
        self._started = self._noted = time.monotonic()
        self._noted_done = 0.0
        self._recent_work, self._recent_time = 0.0, 0.0
        self._told, self._told_at = math.inf, self._started

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._started

    def advanced(self, trial: str, train_step: int) -> None:
        """A trial has taken so many updates. One that is run again begins anew."""
        self.done += self._work[trial] * (train_step - self._taken[trial])
        self._taken[trial] = train_step

    def finished(self, trial: str) -> None:
        """A trial has ended: the updates that it did not take are none of the work."""
        self.total -= self._work[trial] * (self._steps[trial] - self._taken[trial])
        self._steps[trial] = self._taken[trial]

    def seconds_left(self) -> float | None:
        """At most so many seconds; None while nothing is known."""
        now = time.monotonic()
        self._note(now)
        if self._recent_work <= 0 or now - self._started < _FIRST:
            return None
        estimate = max(0.0, self.total - self.done) * self._recent_time / self._recent_work
        passed = now - self._told_at
        told = self._told * estimate / (estimate + passed) if estimate else 0.0
        if estimate < _BELOW * told or estimate > _ABOVE * told + _SLACK:
            told = estimate
        self._told, self._told_at = told, now
        return told

    def _note(self, now: float) -> None:
        """Add what was done since to what was done lately, which fades."""
        passed, done = now - self._noted, max(0.0, self.done - self._noted_done)
        window = max(_WINDOW, _SHARE * (now - self._started))
        fade = math.exp(-passed / window)
        self._recent_time = fade * self._recent_time + passed
        self._recent_work = fade * self._recent_work + done
        self._noted, self._noted_done = now, self.done

    def left(self) -> str:
        """The time left as 1:20 or 2:01:20, or '' while nothing is known."""
        seconds = self.seconds_left()
        return "" if seconds is None else clock(seconds)


def label(trial: Trial) -> str:
    """A trial's labels on the axes of the sweep, such as ``lstm · seed 3``."""
    return label_of(trial.axes, trial.configuration)
