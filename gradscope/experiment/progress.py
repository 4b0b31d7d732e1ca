"""What a sweep shows while it runs: live bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from gradscope.experiment.notebook_progress import NotebookProgress, surface
from gradscope.experiment.pace import Pace, label
from gradscope.experiment.schema import Trial

_STYLES = {"solved": "green", "unsolved": "yellow", "diverged": "magenta", "failed": "red"}


class Silent:
    """Shows nothing."""

    def advanced(self, trial: str, train_step: int, steps: int, loss: float) -> None:
        """Nothing is shown."""

    def finished(self, trial: str, outcome: str) -> None:
        """Nothing is shown."""


@runtime_checkable
class Stream(Protocol):
    """What lines are printed to, such as ``sys.stderr``."""

    def write(self, text: str, /) -> object:
        """Print a text."""

    def flush(self) -> object:
        """Make what was printed visible."""


class PlainProgress:
    """Prints a line when a trial ends, with the time left at most."""

    def __init__(self, trials: Sequence[Trial], stream: Stream):
        self.trials = {trial.id: trial for trial in trials}
        self.stream, self.pace, self.count = stream, Pace(trials), 0

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def advanced(self, trial: str, train_step: int, steps: int, loss: float) -> None:
        """Count the steps; print nothing."""
        self.pace.done[trial] = train_step

    def finished(self, trial: str, outcome: str) -> None:
        """Print what became of the trial."""
        self.count += 1
        self.pace.ended(trial)
        left = f", at most {self.pace.left()} left" if self.count < len(self.trials) else ""
        print(
            f"[{self.count}/{len(self.trials)}] {label(self.trials[trial])}: {outcome}{left}",
            file=self.stream,
            flush=True,
        )


class LiveProgress:
    """Shows a bar over all optimiser steps, and below it a bar for every trial that is running."""

    def __init__(self, trials: Sequence[Trial], console: Console):
        self.trials = {trial.id: trial for trial in trials}
        self.pace, self.count = Pace(trials), 0
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
            transient=False,
        )
        self.rows: dict[str, TaskID] = {}
        self.all = self.progress.add_task(
            "trials", total=sum(self.pace.total.values()), note=f"0/{len(trials)}"
        )
        self.shown = 0.0

    def __enter__(self) -> LiveProgress:
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()

    def advanced(self, trial: str, train_step: int, steps: int, loss: float) -> None:
        """Move the bars, at most ten times a second."""
        self.pace.done[trial] = train_step
        if time.monotonic() - self.shown < 0.1 and trial in self.rows:
            return
        self.shown = time.monotonic()
        if trial not in self.rows:
            self.rows[trial] = self.progress.add_task(
                f"  {escape(label(self.trials[trial]))}", total=steps, note=""
            )
        self.progress.update(
            self.rows[trial], completed=train_step, note=f"step {train_step}, loss {loss:.4g}"
        )
        self._total()

    def finished(self, trial: str, outcome: str) -> None:
        """Remove the trial's bar, and print above the bars what became of the trial."""
        self.count += 1
        self.pace.ended(trial)
        if trial in self.rows:
            self.progress.remove_task(self.rows.pop(trial))
        style = _STYLES[outcome]
        self.progress.console.print(
            f"[{style}]{outcome:>9}[/{style}] {escape(label(self.trials[trial]))}", highlight=False
        )
        self._total()

    def _total(self) -> None:
        left = self.pace.left()
        self.progress.update(
            self.all,
            completed=sum(self.pace.done.values()),
            total=sum(self.pace.total.values()),
            note=f"{self.count}/{len(self.trials)}" + (f", at most {left} left" if left else ""),
        )


def shown(trials: Sequence[Trial]) -> LiveProgress | NotebookProgress | PlainProgress:
    """Live bars on a terminal, one output in a notebook, plain lines elsewhere."""
    place = surface()
    if place is not None:
        return NotebookProgress(trials, place)
    if sys.stdout.isatty():
        return LiveProgress(trials, Console())
    return PlainProgress(trials, sys.stdout)
