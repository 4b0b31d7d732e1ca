"""gradscope report: the page of a run, anew."""

from __future__ import annotations

from pathlib import Path

import click

from gradscope.cli._echo import echo
from gradscope.cli._options import run_argument, with_option


@click.command()
@run_argument
@with_option
def command(run: Path) -> None:
    """Draw the report of a RUN directory anew.

    From what is recorded, though trials may still be running.
    """
    from gradscope.report import write_report
    from gradscope.results.records import RunDirectory

    echo(f"report: {write_report(RunDirectory(run))}")
