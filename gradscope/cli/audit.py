"""gradscope audit: what a model can remember, without data."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gradscope.cli._echo import echo
from gradscope.cli._group import EXIT_FAILED
from gradscope.cli._options import SEED, with_option


@click.command()
@click.argument("factory", metavar="PACKAGE.MODULE:FACTORY")
@click.option(
    "--length",
    type=click.IntRange(min=1),
    metavar="STEPS",
    help="Steps over which something has to be remembered: what reaches less far is a fault.",
)
@click.option(
    "--against",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="CHECKPOINT",
    help="A checkpoint of the same model (.safetensors, or .pt of weights), audited beside it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the audit as JSON.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="torch's seed.")
@with_option
def command(
    factory: str, length: int | None, against: Path | None, as_json: bool, seed: int
) -> None:
    """Say what a model can remember, from its weights alone.

    The factory takes no arguments and gives a model, or whatever gradscope diagnose takes;
    path/to/file.py:factory does as well. A horizon is the number of steps (tokens) after which a
    head has lost a factor e where its input is zero. Exit codes: 0 no fault, 1 a fault, 2 bad
    input.
    """
    import torch

    from gradscope.auditing import audit
    from gradscope.cli._factory import model_of
    from gradscope.results.files import strict_json

    torch.manual_seed(seed)
    found = audit(model_of(factory), length=length, against=against)
    echo(strict_json(found.as_json()) if as_json else str(found))
    sys.exit(EXIT_FAILED if found.faults else 0)
