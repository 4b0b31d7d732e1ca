"""gradscope validate: check experiments without running them."""

from __future__ import annotations

import sys

import click

from gradscope.cli._group import EXIT_BAD_INPUT
from gradscope.cli._options import plural, with_option
from gradscope.errors import GradscopeError

#: configurations that are named one by one
_NAMED = 8


@click.command()
@click.argument("experiments", nargs=-1, required=True)
@with_option
def command(experiments: tuple[str, ...]) -> None:
    """Check EXPERIMENTS without running them.

    They are YAML files, folders of them, or names of experiments that come with gradscope. Says
    which trials they hold. Exit codes: 0 all are right, 2 one is not.
    """
    from gradscope.cli._experiments import files_of
    from gradscope.experiment import Experiment

    bad = False
    for path in [file for experiment in experiments for file in files_of(experiment)[1]]:
        try:
            loaded = Experiment.load(path)
        except GradscopeError as error:
            click.echo(f"gradscope: {error}", err=True)
            bad = True
            continue
        labels = loaded.configurations
        names = ", ".join(labels[:_NAMED]) + (", ..." if len(labels) > _NAMED else "")
        click.echo(
            f"{path}: ok, {plural(len(loaded.trials), 'trial')} of "
            f"{plural(len(labels), 'configuration')}: {names}"
        )
    sys.exit(EXIT_BAD_INPUT if bad else 0)
