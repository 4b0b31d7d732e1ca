"""gradscope show: a run in the terminal."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradscope.cli._echo import echo
from gradscope.cli._options import run_argument

if TYPE_CHECKING:
    from gradscope.results.records import RunDirectory

#: columns of what is no terminal and says nothing of its width
_WIDE = 160
#: before a claim that is held, is not, or of which nothing is known
_SIGNS = {True: "✓", False: "✗", None: "?"}


@click.command()
@run_argument
@click.option("--csv", "as_csv", is_flag=True, help="Print the summary as CSV.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON document.")
@click.option(
    "--follow",
    "-f",
    is_flag=True,
    help="Show the progress of a RUN, also another process's or machine's, until it is over or "
    "Ctrl-C; with --json one line for each change.",
)
def command(run: Path, as_csv: bool, as_json: bool, follow: bool) -> None:
    """Print a summary of a RUN directory, or follow it while it runs.

    It fits the terminal, or COLUMNS where that is set: what is too wide is turned on its side, or
    leaves columns out and names them. --csv and --json have all of it; in JSON an unknown number is
    null and an infinite one the text "Infinity" or "-Infinity".

    Exit codes of --follow: 0 every trial is recorded, 1 trials failed, or nobody is at work on
    those that are left, 2 bad input, 130 Ctrl-C, which leaves the run alone.
    """
    from gradscope.results.records import RunDirectory

    directory = RunDirectory(run)
    if as_csv and as_json:
        raise click.UsageError("--csv and --json are two formats; give one of them")
    if follow:
        if as_csv:
            raise click.UsageError("--csv prints a summary, which --follow does not; drop one")
        from gradscope.cli._following import follow as followed

        sys.exit(followed(directory, as_json=as_json))
    if as_json:
        import json

        from gradscope.results.overview import overview

        echo(json.dumps(overview(directory), indent=1, ensure_ascii=False, allow_nan=False))
        return
    _print(directory, as_csv)


def _print(directory: RunDirectory, as_csv: bool) -> None:
    from rich.console import Console
    from rich.markup import escape

    from gradscope.cli._experiments import say_failures
    from gradscope.cli._layout import laid_out
    from gradscope.results.predictions import explained, predictions
    from gradscope.results.spreadsheets import csv_of
    from gradscope.results.summary import formatted, summary
    from gradscope.results.tables import load
    from gradscope.results.verdict import verdict
    from gradscope.results.yardstick import yardstick

    tables, manifest = load(directory), directory.manifest()
    frame = summary(tables, manifest.tasks)
    if as_csv:
        echo(csv_of(frame), nl=False)
        return
    console = Console(width=_width())
    title = f"[bold]{escape(manifest.name)}[/bold]  {escape(manifest.question)}"
    console.print(title, highlight=False)
    console.print(
        f"{len(tables['trials'])} of {len(manifest.trials)} trials recorded, created "
        f"{manifest.created}"
    )
    judged = yardstick(tables, manifest.tasks).measure.title
    layout = laid_out(formatted(frame, manifest.tasks), console.width, [judged])
    console.print(layout.table)
    if layout.left_out:
        names = escape("; ".join(layout.left_out))
        console.print(f"Left out for want of width: {names}. --csv has all.", highlight=False)
    for sentence in verdict(tables, manifest.tasks):
        console.print(f"- {escape(sentence)}", highlight=False)
    judged_claims = predictions(tables, manifest.expect, manifest.tasks)
    if len(judged_claims):
        console.print("Expected and measured:")
    for row in judged_claims.to_dict("records"):
        sign = _SIGNS[row["held"]]
        said = f"{sign} {row['claim']}: {row['result']} ({row['measured']}; {row['predicted']})"
        console.print(escape(said), highlight=False)
    for sentence in explained(str(row) for row in judged_claims.to_numpy().ravel()):
        console.print(sentence, style="dim", highlight=False)
    say_failures(directory)


def _width() -> int | None:
    """Columns to print; None is what the terminal has."""
    if sys.stdout.isatty():
        return None
    given = os.environ.get("COLUMNS", "")
    return int(given) if given.isdecimal() and int(given) else _WIDE
