"""How far a sweep is, and what its trials are called while it runs."""

from __future__ import annotations

import time
from collections.abc import Sequence

from gradscope.components.text import printable
from gradscope.experiment.schema import Trial


def label(trial: Trial) -> str:
    """A trial's labels on the axes of the sweep, such as ``lstm · seed 3``."""
    parts = [
        f"seed {value.removeprefix('seed ')}" if axis == "seed" else value
        for axis, value in trial.axes.items()
    ]
    return printable(" · ".join(parts) or trial.configuration)


class Pace:
    """The time left, from the optimiser steps done so far.

    It is an upper estimate: a trial may stop early.
    """

    def __init__(self, trials: Sequence[Trial]):
        self.total = {trial.id: trial.settings.training.steps for trial in trials}
        self.done = dict.fromkeys(self.total, 0)
        self.started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.started

    def ended(self, trial: str) -> None:
        """Count a trial as done with the steps that it took."""
        self.total[trial] = self.done[trial] = max(self.done[trial], 1)

    def left(self) -> str:
        """Minutes and seconds, such as '1:20', or '' while nothing is known."""
        done, total = sum(self.done.values()), sum(self.total.values())
        if not done:
            return ""
        seconds = int(self.seconds / done * (total - done))
        return f"{seconds // 60}:{seconds % 60:02d}"
