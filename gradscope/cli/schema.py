"""gradscope schema: what an experiment file may hold, for editors."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gradscope.cli._completion import SCHEMA as FILE
from gradscope.cli._echo import echo
from gradscope.cli._options import with_option


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help=f"Write it to this file, or into this folder as {FILE}.",
)
@with_option
def command(out: Path | None) -> None:
    """Print the JSON Schema of experiment files, for editors.

    An editor with the YAML language server (VS Code's YAML extension, Neovim, Emacs and others)
    then completes keys and names, says what each is, and marks what is wrong. It needs no network:

    \b
        gradscope schema --out .

    writes experiment.schema.json beside your experiments, and each of them begins with

    \b
        # yaml-language-server: $schema=./experiment.schema.json

    With --with FILE the schema knows your own components too.
    """
    from gradscope.cli._json_schema import json_schema

    text = json.dumps(json_schema(), indent=2)
    if out is None:
        echo(text)
        return
    from gradscope.results.files import write_atomically

    path = out / FILE if out.is_dir() else out
    write_atomically(path, f"{text}\n".encode())
    echo(f"schema: {path}")
    echo("An experiment in the same folder uses it if it begins with the line")
    echo(f"# yaml-language-server: $schema=./{path.name}")
