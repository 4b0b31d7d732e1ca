"""gradscope list: what exists."""

from __future__ import annotations

import click

from gradscope.cli._echo import echo
from gradscope.cli._options import with_option


@click.command()
@click.argument("kind", required=False)
@click.argument("name", required=False)
@with_option
def command(kind: str | None, name: str | None) -> None:
    """List components: all, those of one KIND, or one by NAME.

    A KIND is cell, task, clip, ...; a component of that NAME is shown in full, with its options.
    KIND may also be experiment: those that come with gradscope, each with what it asks.
    """
    from gradscope.cli._catalogue import text

    echo(text(kind, name))
