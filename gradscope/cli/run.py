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

from gradscope.cli._group import EXIT_FAILED, EXIT_INTERRUPTED
from gradscope.cli._options import device_option, plural, with_option
from gradscope.errors import StorageError

if TYPE_CHECKING:
    import gradscope.experiment
    from gradscope.results.records import RunDirectory


@dataclass(frozen=True)
class _How:
    """How experiments are to be run, as the options of ``run`` say."""

    workers: int
    scheduler: str | None
    device: str
    report: bool


@click.command()
@click.argument("experiment")
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
    help="Use the Dask cluster at this address instead of local processes.",
)
@device_option
@click.option(
    "--set",
    "overrides",
    metavar="KEY=VALUE",
    multiple=True,
    help="Override a key of the file, such as training.steps=500; may be repeated.",
)
@with_option
@click.option(
    "--report/--no-report", default=True, show_default=True, help="Write the report at the end."
)
def command(
    experiment: str,
    out: Path | None,
    workers: int,
    scheduler: str | None,
    device: str,
    overrides: tuple[str, ...],
    report: bool,
) -> None:
    """Run the trials of an EXPERIMENT and write its report.

    EXPERIMENT is a YAML file, or the name of one that comes with gradscope, such as quickstart. A
    folder runs every YAML file in it, into reports/<folder>/<name>, and writes an index page that
    links the reports. A run can be stopped at any time and started again; trials that are recorded
    are not run twice. Exit codes: 0 done, 1 a trial failed for a cause other than divergence, 2 bad
    input, 130 interrupted.
    """
    from gradscope.cli._experiments import files_of, override
    from gradscope.components.mistakes import Mistakes
    from gradscope.experiment import Experiment
    from gradscope.experiment.devices import check_device

    changes = dict(override(text) for text in overrides)
    folder, files = files_of(experiment)
    experiments, mistakes = [], Mistakes()
    for path in files:
        with mistakes.noted():
            experiments.append(Experiment.load(path, changes))
    mistakes.raise_any()
    if scheduler is None:
        check_device(device)
    how = _How(workers, scheduler, device, report)
    if folder is None:
        failed = _run_one(experiments[0], out or Path("reports") / experiments[0].name, how)
    else:
        title = folder.resolve().name
        failed = _run_all(experiments, out or Path("reports") / title, title, how)
    sys.exit(EXIT_FAILED if failed else 0)


def _run_all(
    experiments: list[gradscope.experiment.Experiment], root: Path, title: str, how: _How
) -> bool:
    """Run experiments into one folder, and link their reports; whether a trial failed."""
    failed, paths = False, []
    for experiment in experiments:
        paths.append(root / experiment.name)
        failed |= _run_one(experiment, paths[-1], how)
        if how.report:
            _write_index(root, paths, title)
    if how.report:
        click.echo(f"index: {root / 'index.html'}")
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


def _run_one(experiment: gradscope.experiment.Experiment, path: Path, how: _How) -> bool:
    """Run one experiment to its end, and write its report; whether a trial failed."""
    from gradscope.cli._experiments import say_failures, write_report
    from gradscope.experiment.progress import shown
    from gradscope.experiment.run import claimed, run_sweep
    from gradscope.results.damage import told
    from gradscope.results.records import RunDirectory

    directory = RunDirectory(path)
    with _ended_like_ctrl_c(), claimed(experiment, directory, how.device) as ready:
        recorded = len(experiment.trials) - len(ready.missing)
        note = f", {recorded} already recorded" if recorded else ""
        trials = plural(len(experiment.trials), "trial")
        click.echo(f"{experiment.name}: {trials}{note} -> {directory.path}")
        if ready.damaged:
            click.echo(told(directory.path, ready.damaged), err=True)
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
    click.echo(
        f"{why}: {len(directory.done())} of {len(experiment.trials)} trials are recorded; the same "
        "command goes on from there",
        err=True,
    )


def _write_index(folder: Path, runs: list[Path], title: str) -> None:
    from gradscope.report import write_index

    write_index(folder, runs, title)
