"""gradscope validate: check experiments without running them."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gradscope.cli import _completion
from gradscope.cli._echo import echo
from gradscope.cli._group import EXIT_BAD_INPUT, say
from gradscope.cli._options import plural, with_option
from gradscope.errors import GradscopeError

#: configurations that are named one by one
_NAMED = 8


@click.command()
@click.argument("experiments", nargs=-1, required=True, shell_complete=_completion.experiments)
@with_option
def command(experiments: tuple[str, ...]) -> None:
    """Check EXPERIMENTS without running them.

    They are YAML files, folders of them, or names of experiments that come with gradscope. Prints
    which trials they hold, or all that is wrong. Exit codes: 0 all are right, 2 one is not.
    """
    from gradscope.cli._experiments import files_of

    wrong = False
    for experiment in experiments:
        try:
            files = files_of(experiment)[1]
        except GradscopeError as error:
            files, wrong = [], True
            say(error)
        for file in files:
            try:
                echo(_description(file))
            except GradscopeError as error:
                wrong = True
                say(error)
    sys.exit(EXIT_BAD_INPUT if wrong else 0)


def _description(file: Path) -> str:
    """The trials and configurations that an experiment file holds.

    Raises:
        ConfigError: if the experiment cannot be run.
    """
    from gradscope.experiment import Experiment

    experiment = Experiment.load(file)
    labels = experiment.configurations
    trials = plural(len(experiment.trials), "trial")
    configurations = plural(len(labels), "configuration")
    names = "; ".join(labels[:_NAMED]) + ("; ..." if len(labels) > _NAMED else "")
    return f"{file}: ok, {trials} of {configurations}: {names}"
