"""What a sweep shows while it runs: live bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TextIO, runtime_checkable

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column
from rich.text import Text

from gradscope.experiment.notebook_progress import NotebookProgress, surface
from gradscope.experiment.observer import Observer
from gradscope.experiment.pace import Pace, label
from gradscope.experiment.schema import Trial
from gradscope.experiment.sparkline import Losses

#: columns of a terminal that a trial's curve takes, its bar, and all but its labels
_CURVE, _BAR, _REST = 17, 10, 59
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
    """Prints a line when a trial ends, with the time left."""

    def __init__(self, trials: Sequence[Trial], stream: Stream):
        self.trials = {trial.id: trial for trial in trials}
        self.stream, self.pace, self.count = stream, Pace(trials), 0

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def advanced(self, trial: str, train_step: int, steps: int, loss: float) -> None:
        """Count the steps; print nothing."""
        self.pace.advanced(trial, train_step)

    def finished(self, trial: str, outcome: str) -> None:
        """Print what became of the trial."""
        self.count += 1
        self.pace.finished(trial)
        left = self.pace.left() if self.count < len(self.trials) else ""
        left = f", about {left} left" if left else ""
        print(
            f"[{self.count}/{len(self.trials)}] {label(self.trials[trial])}: {outcome}{left}",
            file=self.stream,
            flush=True,
        )


class LiveProgress:
    """Shows a bar over all the work, and below it one for every trial that is running.

    Each has the curve of its loss so far, on a logarithmic scale.
    """

    def __init__(self, trials: Sequence[Trial], console: Console):
        self.trials = {trial.id: trial for trial in trials}
        self.pace, self.count, self.console = Pace(trials), 0, console
        self.losses: dict[str, Losses] = {}
        self.progress = Progress(
            _text("{task.description}"),
            BarColumn(bar_width=_BAR),
            _text("{task.fields[count]}"),
            _Trend(self.pace, drawable=(console.encoding or "").startswith("utf")),
            _text("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
            transient=False,
        )
        self.rows: dict[str, TaskID] = {}
        self.all = self.progress.add_task(
            "trials", total=self.pace.total, count=f"0/{len(trials)}", note="", losses=None
        )
        self.shown = 0.0

    def __enter__(self) -> LiveProgress:
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()

    def advanced(self, trial: str, train_step: int, steps: int, loss: float) -> None:
        """Move the bars, at most ten times a second."""
        self.pace.advanced(trial, train_step)
        if train_step <= 1 or trial not in self.losses:  # it begins, or begins again
            self.losses[trial] = Losses(_CURVE)
        self.losses[trial].add(loss)
        if time.monotonic() - self.shown < 0.1 and trial in self.rows:
            return
        self.shown = time.monotonic()
        if trial not in self.rows:
            name = fitted(label(self.trials[trial]), max(12, self.console.width - _REST))
            self.rows[trial] = self.progress.add_task(
                f"  {escape(name)}", total=steps, count="", note="", losses=None
            )
        self.progress.update(
            self.rows[trial],
            completed=train_step,
            count=f"{train_step}/{steps}",
            note=f"loss {loss:.3g}",
            losses=self.losses[trial],
        )
        self._total()

    def finished(self, trial: str, outcome: str) -> None:
        """Remove the trial's bar, and print above the bars what became of the trial."""
        self.count += 1
        self.pace.finished(trial)
        self.losses.pop(trial, None)
        if trial in self.rows:
            self.progress.remove_task(self.rows.pop(trial))
        style = _STYLES[outcome]
        self.progress.console.print(
            f"[{style}]{outcome:>9}[/{style}] {escape(label(self.trials[trial]))}", highlight=False
        )
        self._total()

    def _total(self) -> None:
        self.progress.update(
            self.all,
            completed=self.pace.done,
            total=self.pace.total,
            count=f"{self.count}/{len(self.trials)}",
        )


def _text(template: str) -> TextColumn:
    return TextColumn(template, table_column=Column(no_wrap=True, overflow="ellipsis"))


class _Trend(ProgressColumn):
    """The curve of a trial's loss; of all trials together the time that is left.

    Args:
        pace: that tells the time left.
        drawable: whether the terminal has the signs that a curve is drawn with.
    """

    max_refresh = 0.2

    def __init__(self, pace: Pace, *, drawable: bool):
        super().__init__(table_column=Column(no_wrap=True, min_width=_CURVE))
        self.pace, self.drawable = pace, drawable

    def render(self, task: Task) -> Text:
        """What stands in the row of a task."""
        losses = task.fields["losses"]
        if isinstance(losses, Losses):
            return Text(losses.line() if self.drawable else "", style="cyan")
        left = self.pace.left() if task.id == 0 else ""
        return Text(f"about {left} left" if left else "")


def fitted(text: str, width: int) -> str:
    """A text that is cut in the middle if it is longer than so many characters.

    >>> fitted("layer_norm_lstm · global_norm 1 · seed 3", 20)
    'layer_norm… · seed 3'
    """
    if len(text) <= width:
        return text
    end = (width - 1) // 2
    return f"{text[: width - 1 - end]}…{text[-end:]}"


def shown(
    trials: Sequence[Trial], stream: TextIO | None = None
) -> LiveProgress | NotebookProgress | PlainProgress:
    """Live bars on a terminal, one output in a notebook, plain lines elsewhere.

    Args:
        trials: that are run.
        stream: where to show them; None is standard output, or the cell that is run.
    """
    if stream is None and (place := surface()) is not None:
        return NotebookProgress(trials, place)
    chosen = stream or sys.stdout
    if chosen.isatty():
        return LiveProgress(trials, Console(file=chosen))
    return PlainProgress(trials, chosen)


def watched_by(
    progress: bool | Observer | None, trials: Sequence[Trial]
) -> AbstractContextManager[Observer]:
    """Who is told of progress, as ``gradscope.run`` takes it.

    Args:
        progress: whether to show it, or who is told of it; None shows it.
        trials: that are run.

    Raises:
        TypeError: if it cannot be told.
    """
    if progress is None or progress is True:
        return shown(trials)
    if progress is False:
        return nullcontext(Silent())
    if not isinstance(progress, Observer):
        raise TypeError(
            "progress should be True, False or an object with the methods 'advanced' and "
            f"'finished', got {type(progress).__name__}"
        )
    return nullcontext(progress)
