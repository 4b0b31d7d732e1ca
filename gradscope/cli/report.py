"""gradscope report: the report of a run, or of several held against each other."""

from __future__ import annotations

from pathlib import Path

import click

from gradscope.cli._echo import echo
from gradscope.cli._options import run_arguments, with_option


@click.command()
@run_arguments
@click.option(
    "--format",
    "formats",
    metavar="FORMAT",
    multiple=True,
    default=("html",),
    show_default=True,
    help="html, md, ipynb or pdf; may be repeated. A pdf comes with figures/paper/: each figure "
    "one column wide, with its caption in LaTeX.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of a comparison.  [default: beside the first run]",
)
@with_option
def command(runs: tuple[Path, ...], formats: tuple[str, ...], out: Path | None) -> None:
    """Draw the report of a RUN, or compare several RUNs.

    From what is recorded, though trials may still be running. Several runs are lined up by
    configuration, seed by seed where they have seeds in common; the page tells by how much they
    differ, with intervals, and what they were made with.
    """
    from gradscope.report import write_report
    from gradscope.results.records import RunDirectory

    if len(runs) > 1:
        _compare(runs, formats, out)
        return
    if out is not None:
        raise click.UsageError("--out is for a comparison; the report of a run is written into it")
    for path in write_report(RunDirectory(*runs), formats):
        echo(f"report: {path}")


def _compare(runs: tuple[Path, ...], formats: tuple[str, ...], out: Path | None) -> None:
    """Write the comparison of several runs, and say what was found."""
    from gradscope.comparing import compare

    compared = compare(*runs)
    for sentence in compared.verdict():
        echo(f"- {sentence}")
    if out is None:
        names = "_".join(name.replace("/", "-") for name in list(compared.runs)[1:])
        first = next(iter(compared.runs)).replace("/", "-")
        out = runs[0].parent / f"{names}_against_{first}"[:120]
    for path in compared.reports(out, formats):
        echo(f"report: {path}")
