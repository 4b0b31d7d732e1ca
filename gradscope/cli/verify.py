"""gradscope verify: whether a run is as it was written."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

import click

from gradscope.cli._echo import echo
from gradscope.cli._group import EXIT_FAILED
from gradscope.cli._options import plural, run_argument


@click.command()
@run_argument
@click.option(
    "--repair",
    is_flag=True,
    help="Set aside what is damaged, in damaged/<n> of the run; nothing is deleted.",
)
def command(run: Path, repair: bool) -> None:
    """Check every file of a RUN directory against its checksum.

    Says which files are cut short, changed, missing or of no trial, and the trials that 'gradscope
    run' will have to run again. Exit codes: 0 all is as it was written, 1 something is not, 2 no
    run directory.
    """
    from gradscope.results.damage import damage, manifest_or_none, migrate, set_aside, spoilt
    from gradscope.results.lock import locked
    from gradscope.results.records import RunDirectory

    directory = RunDirectory(run)
    manifest_or_none(directory)  # refused before a lock is put into what is not ours
    with locked(directory.path) if repair else nullcontext():
        manifest, found = manifest_or_none(directory)
        found += damage(directory, manifest)
        for damaged in found:
            echo(f"{directory.path / damaged.file}: {damaged.what}")
        recorded = len(directory.done())
        if repair:
            set_aside(directory, found)
            if manifest is not None:
                migrate(directory)
    trials = spoilt(found)
    if not found:
        echo(f"{directory.path}: {plural(recorded, 'trial')}, all as they were written")
        return
    done = f", set aside in {directory.path / 'damaged'}" if repair else ""
    echo(f"{directory.path}: {plural(len(found), 'file')} not as written{done}")
    for trial in trials:
        echo(f"to run again: {trial}")
    sys.exit(EXIT_FAILED)
