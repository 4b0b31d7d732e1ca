"""What a sweep shows in a notebook: one output that is kept up to date, however many trials."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from html import escape
from typing import Protocol

from gradscope.components.quantities import clock
from gradscope.experiment.pace import Pace, label
from gradscope.experiment.schema import Trial

#: seconds between two changes of what is shown, and running trials that are named
_PAUSE, _NAMED = 0.5, 8


class Surface(Protocol):
    """Where a notebook shows one piece of HTML, which can be replaced."""

    def __call__(self, html: str, /) -> None:
        """Show it in place of what was shown."""
        ...


class NotebookProgress:
    """Shows a bar over all optimiser steps, the trials that run, and at the end what became of all.

    Args:
        trials: that run.
        surface: where it is shown.
    """

    def __init__(self, trials: Sequence[Trial], surface: Surface):
        self.trials = {trial.id: trial for trial in trials}
        self.surface, self.pace = surface, Pace(trials)
        self.running: dict[str, str] = {}
        self.became: Counter[str] = Counter()
        self.shown = -_PAUSE

    def __enter__(self) -> NotebookProgress:
        self._show()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self.running.clear()
        self._show(stopped=kind is not None)

    def advanced(self, trial: str, train_step: int, steps: int, loss: float) -> None:
        """Move the bar."""
        self.pace.advanced(trial, train_step)
        self.running[trial] = f"step {train_step} of {steps}, loss {loss:.4g}"
        self._show_in_time()

    def finished(self, trial: str, outcome: str) -> None:
        """Count what became of the trial."""
        self.pace.finished(trial)
        self.running.pop(trial, None)
        self.became[outcome] += 1
        self._show_in_time()

    def _show_in_time(self) -> None:
        if time.monotonic() - self.shown >= _PAUSE:
            self._show()

    def _show(self, *, stopped: bool = False) -> None:
        self.shown = time.monotonic()
        ended = sum(self.became.values())
        share = self.pace.done / self.pace.total if self.pace.total else 1.0
        said = [f"{ended} of {len(self.trials)} trials"]
        said += [f"{count} {outcome}" for outcome, count in self.became.items()]
        if stopped and ended < len(self.trials):
            said.append("stopped: what is recorded stays, and the same call does the rest")
        elif ended == len(self.trials):
            said.append(f"done in {clock(self.pace.seconds)}")
        elif left := self.pace.left():
            said.append(f"about {left} left")
        bar = f'<progress value="{share:.3f}" max="1" aria-label="trials"></progress>'
        named = list(self.running.items())[:_NAMED]
        rows = [f"<li>{escape(label(self.trials[trial]))}: {note}</li>" for trial, note in named]
        if len(self.running) > _NAMED:
            rows.append(f"<li>and {len(self.running) - _NAMED} more</li>")
        running = f"<ul>{''.join(rows)}</ul>" if rows else ""
        self.surface(f"<div>{bar} {escape(', '.join(said))}{running}</div>")


def surface() -> Surface | None:
    """What this process can show HTML on, in a notebook; None elsewhere.

    Nothing is imported that is not there already: a notebook has imported its own.
    """
    marimo = sys.modules.get("marimo")
    if marimo is not None and marimo.running_in_notebook():
        return _of_marimo
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    # a terminal's shell has no kernel
    return _OfJupyter() if getattr(shell, "kernel", None) is not None else None


def _of_marimo(html: str) -> None:
    import marimo

    marimo.output.replace(marimo.Html(html))


class _OfJupyter:
    """An output of the cell that runs."""

    def __init__(self) -> None:
        self._update: Callable[[object], None] | None = None

    def __call__(self, html: str) -> None:
        from IPython.display import HTML, display

        content = HTML(html)
        if self._update is None:
            handle = display(content, display_id=True)
            assert handle is not None  # as its id was asked for
            self._update = handle.update
        else:
            self._update(content)
