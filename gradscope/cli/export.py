"""gradscope export: a run's scalars for other tools."""

from __future__ import annotations

from pathlib import Path

import click

from gradscope.cli._echo import echo
from gradscope.cli._options import plural, run_argument


@click.command()
@run_argument
@click.option(
    "--tensorboard",
    "logdir",
    type=click.Path(path_type=Path),
    required=True,
    help="Directory for event files.",
)
def command(run: Path, logdir: Path) -> None:
    """Write the scalars of a RUN directory for TensorBoard.

    Needs the extra 'tensorboard'.
    """
    from gradscope.results.records import RunDirectory
    from gradscope.tracking.export import to_tensorboard

    count = to_tensorboard(RunDirectory(run), logdir)
    echo(f"{plural(count, 'trial')} -> {logdir}; look with: tensorboard --logdir {logdir}")
