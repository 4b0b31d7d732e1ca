"""gradscope schema: what an experiment file may hold, for editors."""

from __future__ import annotations

import json

import click

from gradscope.cli._echo import echo
from gradscope.cli._options import with_option


@click.command()
@with_option
def command() -> None:
    """Print the JSON Schema of experiment files, for editors."""
    from gradscope.cli._json_schema import json_schema

    echo(json.dumps(json_schema(), indent=2))
