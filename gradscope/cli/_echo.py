"""What commands print: a user's words among it are shown as they are, never sent as commands."""

from __future__ import annotations

import click


def echo(text: object, *, err: bool = False, nl: bool = True) -> None:
    """Print a text, its control characters made visible.

    Args:
        text: to print.
        err: whether to standard error.
        nl: whether a line break follows.
    """
    from gradscope.components.text import printable  # late, for a quick answer to the tab key

    click.echo(printable(text), err=err, nl=nl)
