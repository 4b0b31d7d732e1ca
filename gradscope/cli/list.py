"""gradscope list: what exists."""

from __future__ import annotations

import click

from gradscope.cli import _completion
from gradscope.cli._echo import echo
from gradscope.cli._options import with_option


@click.command()
@click.argument(
    "kind",
    required=False,
    metavar="[KIND|NAME]",
    shell_complete=_completion.kinds_and_names,
)
@click.argument("name", required=False, shell_complete=_completion.names_of_kind)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of entries.")
@with_option
def command(kind: str | None, name: str | None, as_json: bool) -> None:
    """List what exists, or show what a NAME stands for.

    A KIND is cell, init, task, clip, optimizer, probe, plot, finding or remedy (components, with
    their options); experiment (those that come with gradscope, with what each asks); key (of an
    experiment file); or measure (what expect: may compare). A NAME is found without its kind:

    \b
        gradscope list lstm               a component; every one of that name
        gradscope list training           a key of an experiment file, with its parts
        gradscope list success_rate       a measure
        gradscope list quickstart         an experiment
        gradscope list forget_bias        an option, and who has it
    """
    from gradscope.cli._listing import listed_json, listing

    echo(listed_json(kind, name) if as_json else listing(kind, name))
