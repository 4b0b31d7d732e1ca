"""gradscope run: run an experiment, or a folder of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradscope.cli import _completion
from gradscope.cli._group import EXIT_FAILED
from gradscope.cli._options import PopulationSize, device_option, with_option

if TYPE_CHECKING:
    from gradscope.cli._output import Output
    from gradscope.cli._running import How
    from gradscope.experiment import Scheduler
    from gradscope.experiment.kin import Population

#: a file of certificates, or of a key
_PEM = click.Path(exists=True, dir_okay=False)


@click.command()
@click.argument("experiment", required=False, shell_complete=_completion.experiments)
@click.option(
    "--replay",
    metavar="RUN",
    type=click.Path(path_type=Path),
    shell_complete=_completion.runs,
    help="Run the trials of a recorded RUN again, and say where they differ from it.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Run directory.  [default: reports/<name>]"
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that run trials.",
)
@click.option(
    "--population",
    metavar="auto|off|N",
    type=PopulationSize(),
    default="auto",
    show_default=True,
    help="Trials that differ in seed, start, or numbers of optimiser and clip train as one "
    "program: as many as are fastest, at most N, or none.",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Use the Dask cluster at this address, such as tls://host:8786.",
)
@click.option("--tls-ca-file", type=_PEM, help="Certificate of who signed the scheduler's.")
@click.option("--tls-cert", type=_PEM, help="Certificate to show to the scheduler.")
@click.option("--tls-key", type=_PEM, help="Private key of that certificate.")
@device_option
@click.option(
    "--set",
    "overrides",
    metavar="KEY=VALUE",
    multiple=True,
    help="Override a key of the file, such as training.steps=500; may be repeated.",
)
@with_option
@click.option("--yes", "-y", is_flag=True, help="Do not ask before a run that is long or large.")
@click.option(
    "--report/--no-report", default=True, show_default=True, help="Write the report at the end."
)
@click.option(
    "--live",
    is_flag=True,
    help="Serve the report meanwhile, to this machine alone, at an address that is printed.",
)
@click.option(
    "--live-port",
    metavar="PORT",
    type=click.IntRange(1, 65535),
    help="Port of --live.  [default: a free one]",
)
@click.option(
    "--log",
    metavar="TRACKER",
    multiple=True,
    help="Log every trial when it is recorded: tensorboard[:DIR], wandb[:PROJECT], mlflow[:URI] or "
    "trackio[:PROJECT]; may be repeated.",
)
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors and warnings.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON document at the end, and all else to standard error.",
)
@click.pass_context
def command(
    ctx: click.Context,
    experiment: str | None,
    replay: Path | None,
    out: Path | None,
    workers: int,
    population: Population,
    scheduler: str | None,
    tls_ca_file: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    device: str,
    overrides: tuple[str, ...],
    yes: bool,
    report: bool,
    live: bool,
    live_port: int | None,
    log: tuple[str, ...],
    quiet: bool,
    as_json: bool,
) -> None:
    """Run the trials of an EXPERIMENT and write its report.

    EXPERIMENT is a YAML file, or the name of one that comes with gradscope, such as quickstart. A
    folder runs every YAML file in it, into reports/<folder>/<name>, and writes an index page that
    links the reports. A run can be stopped at any time and started again; trials that are recorded
    are not run twice. What would take more than an hour, or half the memory, is asked about first;
    --yes says that it may. Exit codes: 0 done, 1 a trial failed for a cause other than divergence,
    or differs from its replay, 2 bad input, 130 interrupted.
    """
    from gradscope.cli._output import Output
    from gradscope.cli._running import How
    from gradscope.experiment.devices import check_device

    output = Output(quiet, as_json)
    if replay is not None:
        sys.exit(_replay(ctx, replay, workers, device, output))
    port = _port(live, live_port, quiet)
    if scheduler is None:
        check_device(device)
    if experiment is None:
        raise click.UsageError("name an EXPERIMENT, such as quickstart")
    reached = _reached(scheduler, tls_ca_file, tls_cert, tls_key)
    how = How(workers, population, reached, device, report, log, port, output)
    sys.exit(_run(experiment, out, overrides, yes, how))


def _run(experiment: str, out: Path | None, overrides: tuple[str, ...], yes: bool, how: How) -> int:
    """Run an experiment, or a folder of them; the exit code."""
    from gradscope.cli._document import document
    from gradscope.cli._plans import ask, estimate, planned
    from gradscope.cli._running import run_plans
    from gradscope.tracking import check_trackers

    check_trackers(how.log)
    plans, title = planned(experiment, out, overrides)
    if how.scheduler is None:
        estimate(plans, how.device, how.workers)
        ask(plans, yes)
    done = run_plans(plans, title, how)
    if how.output.json:
        how.output.document(document(done.runs, done.code, done.index))
    return done.code


def _replay(ctx: click.Context, run: Path, workers: int, device: str, output: Output) -> int:
    """Run a recorded run again; the exit code."""
    from gradscope.cli._replaying import check_options, replay
    from gradscope.experiment.devices import check_device

    check_options(ctx)
    check_device(device)
    return EXIT_FAILED if replay(run, workers, device, output) else 0


def _port(live: bool, port: int | None, quiet: bool) -> int | None:
    """The port to serve a live report on, 0 for a free one; None serves none.

    Raises:
        UsageError: for a port of nothing, or an address that nobody would see.
    """
    if not live:
        if port is not None:
            raise click.UsageError("--live-port is the port of --live; give that too")
        return None
    if quiet:
        raise click.UsageError("--live prints an address, which --quiet would hide; leave one out")
    return port or 0


def _reached(
    address: str | None, ca_file: str | None, cert: str | None, key: str | None
) -> Scheduler | None:
    """The scheduler that options name."""
    from gradscope.experiment import Scheduler

    if address is not None:
        return Scheduler(address, ca_file, cert, key)
    if ca_file or cert or key:
        raise click.UsageError("certificates are for a scheduler; name it with --scheduler ADDRESS")
    return None
