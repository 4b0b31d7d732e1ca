"""How ``gradscope run --replay`` runs the trials of a recorded run again."""

from __future__ import annotations

import signal
from pathlib import Path

import click
from click.core import ParameterSource

from gradscope.cli._options import plural
from gradscope.cli._output import Output
from gradscope.components.signals import taken

#: parameters of ``run`` that a replay takes
_TAKEN = {"replay", "workers", "device", "plugins", "yes", "quiet"}


def check_options(ctx: click.Context) -> None:
    """Refuse what a replay would not do.

    Raises:
        UsageError: for an experiment, or an option that a replay does not take.
    """
    given = [
        parameter
        for parameter in ctx.command.params
        if ctx.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        and parameter.name not in _TAKEN
    ]
    if any(isinstance(parameter, click.Argument) for parameter in given):
        raise click.UsageError("--replay RUN takes its experiment from the run; name no other")
    if given:
        names = ", ".join(parameter.opts[0] for parameter in given)
        raise click.UsageError(
            "--replay RUN runs recorded trials as they were recorded and writes nothing; leave out "
            f"{names}. It takes --workers, --device, --with and --quiet"
        )


def replay(run: Path, workers: int, device: str, output: Output) -> bool:
    """Run a recorded run's trials again and compare; whether one differs."""
    from gradscope.experiment.replay import changed_since, recorded_experiment, replayed
    from gradscope.results.records import RunDirectory

    directory = RunDirectory(run)
    recorded = recorded_experiment(directory)
    output.say(f"{directory.path}: {plural(len(recorded.trials), 'recorded trial')}, run again")
    with (
        taken(signal.SIGTERM, signal.default_int_handler),
        output.progress(recorded.trials) as observer,
    ):
        found = replayed(directory, recorded, observer, workers=workers, device=device)
    # without other words, what differs is a warning
    tell = output.warn if output.quiet else output.say
    for difference in found:
        tell(str(difference))
    for change in changed_since(directory.manifest()) if found else []:
        tell(f"since then: {change}")
    same = len(recorded.trials) - len(found)
    output.say(f"{same} of {plural(len(recorded.trials), 'trial')} the same, bit for bit")
    return bool(found)
