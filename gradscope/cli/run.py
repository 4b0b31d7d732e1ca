"""gradscope run: run an experiment, or a folder of them."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradscope.cli import _completion
from gradscope.cli._echo import echo
from gradscope.cli._group import EXIT_FAILED, EXIT_INTERRUPTED
from gradscope.cli._options import device_option, plural, with_option
from gradscope.errors import StorageError

if TYPE_CHECKING:
    import gradscope.experiment
    from gradscope.cli._plans import Plan
    from gradscope.results.records import RunDirectory


#: a file of certificates, or of a key
_PEM = click.Path(exists=True, dir_okay=False)


@dataclass(frozen=True)
class _How:
    """How experiments are to be run, as the options of ``run`` say."""

    workers: int
    scheduler: gradscope.experiment.Scheduler | None
    device: str
    report: bool


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
def command(
    experiment: str | None,
    replay: Path | None,
    out: Path | None,
    workers: int,
    scheduler: str | None,
    tls_ca_file: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    device: str,
    overrides: tuple[str, ...],
    yes: bool,
    report: bool,
) -> None:
    """Run the trials of an EXPERIMENT and write its report.

    EXPERIMENT is a YAML file, or the name of one that comes with gradscope, such as quickstart. A
    folder runs every YAML file in it, into reports/<folder>/<name>, and writes an index page that
    links the reports. A run can be stopped at any time and started again; trials that are recorded
    are not run twice. What would take more than an hour, or half the memory, is asked about first;
    --yes says that it may. Exit codes: 0 done, 1 a trial failed for a cause other than divergence,
    or differs from its replay, 2 bad input, 130 interrupted.
    """
    from gradscope.cli._plans import ask, estimate, planned
    from gradscope.experiment.devices import check_device

    if scheduler is None:
        check_device(device)
    if replay is not None:
        sys.exit(EXIT_FAILED if _replay(replay, experiment, workers, device) else 0)
    if experiment is None:
        raise click.UsageError("name an EXPERIMENT, such as quickstart")
    plans, title = planned(experiment, out, overrides)
    how = _How(workers, _reached(scheduler, tls_ca_file, tls_cert, tls_key), device, report)
    if scheduler is None:
        estimate(plans, device, workers)
        ask(plans, yes)
    failed = _run_one(plans[0], how) if title is None else _run_all(plans, title, how)
    sys.exit(EXIT_FAILED if failed else 0)


def _replay(run: Path, experiment: str | None, workers: int, device: str) -> bool:
    """Run a recorded run's trials again and compare; whether one differs."""
    from gradscope.experiment.progress import shown
    from gradscope.experiment.replay import changed_since, recorded_experiment, replayed
    from gradscope.results.records import RunDirectory

    if experiment is not None:
        raise click.UsageError("--replay RUN takes its experiment from the run; name no other")
    directory = RunDirectory(run)
    recorded = recorded_experiment(directory)
    echo(f"{directory.path}: {plural(len(recorded.trials), 'recorded trial')}, run again")
    with _ended_like_ctrl_c(), shown(recorded.trials) as observer:
        found = replayed(directory, recorded, observer, workers=workers, device=device)
    for difference in found:
        echo(str(difference))
    for change in changed_since(directory.manifest()) if found else []:
        echo(f"since then: {change}")
    same = len(recorded.trials) - len(found)
    echo(f"{same} of {plural(len(recorded.trials), 'trial')} the same, bit for bit")
    return bool(found)


def _reached(
    address: str | None, ca_file: str | None, cert: str | None, key: str | None
) -> gradscope.experiment.Scheduler | None:
    """The scheduler that options name."""
    from gradscope.experiment import Scheduler

    if address is not None:
        return Scheduler(address, ca_file, cert, key)
    if ca_file or cert or key:
        raise click.UsageError("certificates are for a scheduler; name it with --scheduler ADDRESS")
    return None


def _run_all(plans: list[Plan], title: str, how: _How) -> bool:
    """Run experiments into one folder, and link their reports; whether a trial failed."""
    failed, paths, root = False, [], plans[0].directory.path.parent
    for plan in plans:
        paths.append(plan.directory.path)
        failed |= _run_one(plan, how)
        if how.report:
            _write_index(root, paths, title)
    if how.report:
        echo(f"index: {root / 'index.html'}")
    return failed


@contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """A context in which SIGTERM ends a run as Ctrl-C does, and its workers with it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run_one(plan: Plan, how: _How) -> bool:
    """Run one experiment to its end, and write its report; whether a trial failed."""
    from gradscope.cli._experiments import say_failures, write_report
    from gradscope.experiment.progress import shown
    from gradscope.experiment.run import claimed, run_sweep
    from gradscope.results.damage import told

    experiment, directory = plan.experiment, plan.directory
    with _ended_like_ctrl_c(), claimed(experiment, directory, how.device) as ready:
        recorded = len(experiment.trials) - len(ready.missing)
        note = f", {recorded} already recorded" if recorded else ""
        trials = plural(len(experiment.trials), "trial")
        echo(f"{experiment.name}: {trials}{note} -> {directory.path}")
        if plan.estimate is not None and ready.missing:
            echo(f"  {plan.estimate}")
        if ready.damaged:
            echo(told(directory.path, ready.damaged), err=True)
        try:
            with shown(ready.missing) as observer:
                outcomes = run_sweep(
                    experiment,
                    directory,
                    observer,
                    workers=how.workers,
                    scheduler=how.scheduler,
                    device=how.device,
                    ready=ready,
                )
            if how.report and directory.done():
                write_report(directory)
        except KeyboardInterrupt:
            _say_how_to_go_on("\ninterrupted", experiment, directory)
            sys.exit(EXIT_INTERRUPTED)
        except StorageError as error:
            _say_how_to_go_on(f"gradscope: {error}", experiment, directory)
            sys.exit(EXIT_FAILED)
        say_failures(directory)
    return "failed" in outcomes.values()


def _say_how_to_go_on(
    why: str, experiment: gradscope.experiment.Experiment, directory: RunDirectory
) -> None:
    """Say why a run ends before its end, and what stands."""
    echo(
        f"{why}: {len(directory.done())} of {len(experiment.trials)} trials are recorded; the same "
        "command goes on from there",
        err=True,
    )


def _write_index(folder: Path, runs: list[Path], title: str) -> None:
    from gradscope.report import write_index

    write_index(folder, runs, title)
