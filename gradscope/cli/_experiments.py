"""Which experiments somebody means on the command line, and what becomes of them there."""

from __future__ import annotations

from pathlib import Path

import click

from gradscope.errors import GradscopeError
from gradscope.experiment.shipped import located
from gradscope.results.records import RunDirectory

#: failed trials that are named one by one
_NAMED = 5


def files_of(experiment: str) -> tuple[Path | None, list[Path]]:
    """The folder that is meant, if it is one, and the experiment files.

    Raises:
        GradscopeError: if there is none.
    """
    place = located(experiment)
    if not place.is_dir():
        return None, [place]
    files = sorted(place.glob("*.y*ml"))
    if not files:
        raise GradscopeError(
            f"{experiment}: holds no YAML file; name an experiment, or a folder of them"
        )
    return place, files


def override(text: str) -> tuple[str, object]:
    """KEY=VALUE, the value read as YAML.

    Raises:
        GradscopeError: for anything else.
    """
    from gradscope.components import marks

    key, equals, value = text.partition("=")
    if not equals or not key:
        raise GradscopeError(f"--set {text!r}: should be KEY=VALUE, such as training.steps=500")
    return key, marks.read(f"value: {value}", "--set")["value"]


def write_report(directory: RunDirectory) -> None:
    """Draw a run's report, and say where it is."""
    from gradscope.report import write_report

    click.echo(f"report: {write_report(directory)}")


def say_failures(directory: RunDirectory) -> None:
    """Name the first trials that failed, on standard error."""
    failures = list(directory.failures().items())
    for trial, failure in failures[:_NAMED]:
        click.echo(
            f"trial {trial} failed: {failure['error']} (traceback in "
            f"{directory.path}/failures/{trial}.json)",
            err=True,
        )
    if len(failures) > _NAMED:
        click.echo(
            f"and {len(failures) - _NAMED} more failed: see {directory.path}/failures", err=True
        )
