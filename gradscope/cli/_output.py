"""What a command prints, and where: for people, for nobody, or for a script."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from gradscope.cli._echo import echo
from gradscope.results.files import strict_json

if TYPE_CHECKING:
    from gradscope.experiment import Trial
    from gradscope.experiment.observer import Observer


@dataclass(frozen=True)
class Output:
    """Where words go: errors and warnings to standard error in any case.

    Attributes:
        quiet: whether they are all that is printed.
        json: whether standard output is one JSON document, and words go to standard error.
    """

    quiet: bool = False
    json: bool = False

    def say(self, text: object) -> None:
        """Print what a person may want to know."""
        if not self.quiet:
            echo(text, err=self.json)

    def warn(self, text: object) -> None:
        """Print what is wrong, to standard error."""
        echo(text, err=True)

    def caution(self, text: object) -> None:
        """Print, to standard error, that something beside the run is wrong."""
        self.warn(f"gradscope: {text}")

    def progress(self, trials: Sequence[Trial]) -> AbstractContextManager[Observer]:
        """Who is told of progress."""
        from gradscope.experiment.progress import Silent, shown

        if self.quiet:
            return nullcontext(Silent())
        return shown(trials, sys.stderr if self.json else sys.stdout)

    def document(self, content: object) -> None:
        """Print the document, where one is asked for."""
        if self.json:
            click.echo(strict_json(content))
