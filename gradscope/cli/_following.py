"""Following a run in the terminal, in lines, or as JSON, until it is over."""

from __future__ import annotations

import json
import sys
import time
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gradscope.cli._echo import echo
from gradscope.cli._group import EXIT_FAILED, EXIT_INTERRUPTED
from gradscope.components.quantities import clock
from gradscope.results.files import strict_json
from gradscope.results.following import Ended, Following, Look
from gradscope.results.records import RunDirectory

#: seconds between two looks at a run directory
_PAUSE = 1.0
#: columns of a bar, and trials that have a line of their own
_BAR, _NAMED = 20, 12
_STYLES = {"solved": "green", "unsolved": "yellow", "diverged": "magenta", "failed": "red"}


class Page(Protocol):
    """Where a run is shown."""

    def __enter__(self) -> Page: ...

    def __exit__(self, *error: object) -> None: ...

    def show(self, look: Look) -> None:
        """Show what is new, and how the run stands."""


def follow(run: RunDirectory, *, as_json: bool) -> int:
    """Show a run until it is over, or Ctrl-C; the exit code.

    It is over when every trial is recorded or has failed, or when nobody is at work any more, seen
    twice: a file system may show the end of a lock before it shows the last trial.

    Args:
        run: its directory.
        as_json: whether to print a line of JSON for each change.

    Raises:
        RunDirectoryError: if the directory is not a run's.
        DamagedError: if something in it is not as it was written.
    """
    following, idle = Following(run), 0
    look = following.look()
    try:
        with _page(run, as_json) as page:
            while True:
                page.show(look)
                idle = 0 if look.owner else idle + 1
                if idle > 1 or look.recorded + look.failed == look.of:
                    break
                time.sleep(_PAUSE)
                look = following.look()
    except KeyboardInterrupt:
        if look.owner:
            echo("\nno longer followed; the run goes on", err=True)
        return EXIT_INTERRUPTED
    if look.recorded == look.of:
        return 0
    if not look.owner:
        echo(
            f"{run.path}: nobody is at work on it, and {look.of - look.recorded} of {look.of} "
            "trials are not recorded; 'gradscope run' of its experiment goes on",
            err=True,
        )
    return EXIT_FAILED


def _page(run: RunDirectory, as_json: bool) -> Page:
    if as_json:
        return _Json()
    if sys.stdout.isatty():
        return _Terminal(run)
    return _Lines(run)


def _counted(look: Look) -> str:
    """How a run stands, such as ``5 of 8 recorded (5 solved), 2 running, 1 left``."""
    outcomes = ", ".join(f"{n} {outcome}" for outcome, n in look.outcomes.items())
    outcomes = f" ({outcomes})" if outcomes else ""
    said = f"{look.recorded} of {look.of} recorded{outcomes}"
    if look.running:
        said += f", {len(look.running)} running"
    return f"{said}, {look.left} left" if look.left else said


def _ended(one: Ended) -> str:
    return f"{one.label}: {one.outcome}{f', {one.error}' if one.error else ''}"


def _left(look: Look) -> str:
    """The time left, or "" while it is not known."""
    return "" if look.seconds_left is None else f", about {clock(look.seconds_left)} left"


class _Lines:
    """A line for how the run stands, and one for each trial that ends."""

    def __init__(self, run: RunDirectory):
        self._run, self._shown = run, 0

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def show(self, look: Look) -> None:
        """Print what is new."""
        if not self._shown:
            by = f"; {look.owner}" if look.owner else ""
            echo(f"{self._run.manifest().name}: {_counted(look)}{_left(look)}{by}")
        else:
            self._print(look)
        self._shown += 1
        sys.stdout.flush()

    def _print(self, look: Look) -> None:
        before = look.recorded + look.failed - len(look.ended)
        for count, one in enumerate(look.ended, start=before + 1):
            echo(f"[{count}/{look.of}] {_ended(one)}{_left(look) if count < look.of else ''}")
        if look.ended and look.recorded + look.failed == look.of:
            echo(_counted(look))


class _Terminal:
    """Bars for the run and for the trials that train, and above them the trials that end."""

    def __init__(self, run: RunDirectory):
        self._run, self._began = run, False
        self._live = Live(console=Console(), refresh_per_second=4)

    def __enter__(self) -> _Terminal:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def show(self, look: Look) -> None:
        """Print what has ended, and draw the bars anew."""
        for one in look.ended if self._began else ():
            style = _STYLES.get(one.outcome, "none")
            words = f"{one.label}{f': {one.error}' if one.error else ''}"
            self._live.console.print(
                f"[{style}]{one.outcome:>9}[/{style}] {escape(words)}", highlight=False
            )
        self._began = True
        self._live.update(self._drawn(look), refresh=True)

    def _drawn(self, look: Look) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        for _ in range(3):
            table.add_column(no_wrap=True, overflow="ellipsis")
        name = escape(self._run.manifest().name)
        ended = look.recorded + look.failed
        table.add_row(name, _bar(ended, look.of), f"{_counted(look)}{_left(look)}")
        for entry, taken in look.running[:_NAMED]:
            loss = "" if taken.loss is None else f", loss {taken.loss:.3g}"
            step = f"{taken.train_step}/{taken.steps}{loss}"
            table.add_row(Text(f"  {entry.label}"), _bar(taken.train_step, taken.steps), step)
        said = [look.owner or "nobody is at work"]
        if len(look.running) > _NAMED:
            said.insert(0, f"and {len(look.running) - _NAMED} more running")
        return Group(table, *(Text(f"  {line}", style="dim") for line in said))


def _bar(done: int, of: int) -> ProgressBar:
    return ProgressBar(total=max(of, 1), completed=done, width=_BAR)


class _Json:
    """A line of JSON for each change: a trial begins or ends, or somebody is at work or not."""

    def __init__(self) -> None:
        self._shown: object = None

    def __enter__(self) -> _Json:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def show(self, look: Look) -> None:
        """Print a line, if anything has changed."""
        running = [entry.id for entry, _ in look.running]
        now = (running, look.owner, dict(look.outcomes))
        if now == self._shown and not look.ended:
            return
        self._shown = now
        # strict_json turns a number that is not finite into null; a line has no line breaks
        echo(json.dumps(json.loads(strict_json(_document(look))), ensure_ascii=False))
        sys.stdout.flush()


def _document(look: Look) -> dict[str, object]:
    return {
        "recorded": look.recorded,
        "of": look.of,
        "left": look.left,
        "outcomes": dict(look.outcomes),
        "ended": [vars(one) for one in look.ended],
        "running": [
            {"trial": entry.id, "label": entry.label, **taken._asdict()}
            for entry, taken in look.running
        ],
        "seconds_left": look.seconds_left,
        "at_work": look.owner or None,
    }
