"""gradscope show: a run in the terminal."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gradscope.cli._echo import echo
from gradscope.cli._options import run_argument


@click.command()
@run_argument
@click.option("--csv", "as_csv", is_flag=True, help="Print the summary as CSV.")
def command(run: Path, as_csv: bool) -> None:
    """Print a summary of a RUN directory."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from gradscope.cli._experiments import say_failures
    from gradscope.results.records import RunDirectory
    from gradscope.results.spreadsheets import csv_of
    from gradscope.results.summary import formatted, summary
    from gradscope.results.tables import load
    from gradscope.results.verdict import verdict

    directory = RunDirectory(run)
    tables, manifest = load(directory), directory.manifest()
    frame = summary(tables, manifest.tasks)
    if as_csv:
        echo(csv_of(frame), nl=False)
        return
    console = Console(width=None if sys.stdout.isatty() else 160)
    title = f"[bold]{escape(manifest.name)}[/bold]  {escape(manifest.question)}"
    console.print(title, highlight=False)
    console.print(
        f"{len(tables['trials'])} of {len(manifest.trials)} trials recorded, created "
        f"{manifest.created}"
    )
    table, printed = Table(), formatted(frame, manifest.tasks)
    for column in printed.columns:
        side = "left" if column == "configuration" else "right"
        table.add_column(str(column), justify=side, overflow="fold")
    for row in printed.itertuples(index=False):
        table.add_row(*(escape(str(cell)) for cell in row))
    console.print(table)
    for sentence in verdict(tables, manifest.tasks):
        console.print(f"- {escape(sentence)}", highlight=False)
    say_failures(directory)
