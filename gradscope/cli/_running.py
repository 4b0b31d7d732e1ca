"""How ``gradscope run`` carries out what is planned, one experiment after another."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gradscope.cli._experiments import say_failures
from gradscope.cli._group import EXIT_FAILED, EXIT_INTERRUPTED
from gradscope.cli._options import plural
from gradscope.cli._output import Output
from gradscope.cli._plans import Plan
from gradscope.components.signals import taken
from gradscope.errors import StorageError
from gradscope.experiment import Experiment, Scheduler
from gradscope.experiment.kin import Population
from gradscope.experiment.observer import Observer, Several
from gradscope.experiment.run import Ready, claimed, run_sweep
from gradscope.results.damage import told
from gradscope.results.records import RunDirectory
from gradscope.tracking import Tracking, trackers_of

if TYPE_CHECKING:  # it draws
    from gradscope.report.live import LiveReport


@dataclass(frozen=True)
class How:
    """How experiments are to be run, as the options of ``run`` say.

    Attributes:
        workers: processes that run trials.
        population: trials that train as one program.
        scheduler: a Dask scheduler to use instead.
        device: torch device of every trial.
        report: whether the report is written at the end.
        log: trackers that take every trial, by name.
        live: the port that the report is served on meanwhile, 0 for a free one; None serves none.
        output: where words go.
    """

    workers: int
    population: Population
    scheduler: Scheduler | None
    device: str
    report: bool
    log: Sequence[str]
    live: int | None
    output: Output


@dataclass
class Done:
    """What has been run.

    Attributes:
        code: the exit code so far.
        runs: run directories, and their reports.
        index: the page that links the reports of a folder.
        ended_early: whether the rest is not run.
    """

    code: int = 0
    runs: list[tuple[RunDirectory, Path | None]] = field(default_factory=list)
    index: Path | None = None
    ended_early: bool = False


def run_plans(plans: Sequence[Plan], title: str | None, how: How) -> Done:
    """Run experiments, write their reports, and link them if they are of a folder.

    Args:
        plans: to carry out.
        title: of the folder; None where it is one experiment.
        how: to run them.
    """
    done = Done()
    with _live(how, done) as live:
        for plan in plans:
            _run_one(plan, how, live, done)
            if done.ended_early:
                return done
            if title is not None and how.report:
                done.index = _write_index(plans[0].directory.path.parent, done, title)
    if done.index is not None:
        how.output.say(f"index: {done.index}")
    return done


@contextmanager
def _live(how: How, done: Done) -> Iterator[LiveReport | None]:
    """The report that is served meanwhile, and that shows the end."""
    if how.live is None:
        yield None
        return
    from gradscope.components.plugins import plugins_of_runs
    from gradscope.report.live import LiveReport

    plugins = [str(plugin.path) for plugin in plugins_of_runs()]
    with LiveReport(how.output.caution, how.live, plugins) as live:
        how.output.say(f"live report: {live.address}")
        yield live
        stopped = done.ended_early
        live.end("stopped" if stopped else "done", done.runs[-1][1] if done.runs else None)


def _run_one(plan: Plan, how: How, live: LiveReport | None, done: Done) -> None:
    """Run one experiment to its end, and write its report."""
    experiment, directory, output = plan.experiment, plan.directory, how.output
    with (
        taken(signal.SIGTERM, signal.default_int_handler),  # ends workers too, as Ctrl-C does
        claimed(experiment, directory, how.device) as ready,
    ):
        _say_what_begins(plan, ready, output)
        if live is not None:
            live.watch(directory.path)
        report, code = None, 0
        try:
            if "failed" in _outcomes(plan, ready, how).values():
                code = EXIT_FAILED
            if how.report and directory.done():
                report = _write_report(directory, output)
        except KeyboardInterrupt:
            _say_how_to_go_on("\ninterrupted", experiment, directory, output)
            code, done.ended_early = EXIT_INTERRUPTED, True
        except StorageError as error:
            _say_how_to_go_on(f"gradscope: {error}", experiment, directory, output)
            code, done.ended_early = EXIT_FAILED, True
        else:
            say_failures(directory)
    done.runs.append((directory, report))
    done.code = code or done.code


def _outcomes(plan: Plan, ready: Ready, how: How) -> dict[str, str]:
    """Run the trials that are missing."""
    directory, output = plan.directory, how.output
    trackers = trackers_of(how.log, plan.experiment.name, directory.path)
    with output.progress(ready.missing) as shown:
        tracking = Tracking(trackers, directory, output.caution)
        observer: Observer = Several(shown, tracking) if trackers else shown
        return run_sweep(
            plan.experiment,
            directory,
            observer,
            workers=how.workers,
            population=how.population,
            scheduler=how.scheduler,
            device=how.device,
            ready=ready,
        )


def _say_what_begins(plan: Plan, ready: Ready, output: Output) -> None:
    experiment, directory = plan.experiment, plan.directory
    recorded = len(experiment.trials) - len(ready.missing)
    note = f", {recorded} already recorded" if recorded else ""
    trials = plural(len(experiment.trials), "trial")
    output.say(f"{experiment.name}: {trials}{note} -> {directory.path}")
    if plan.estimate is not None and ready.missing:
        output.say(f"  {plan.estimate}")
    if ready.damaged:
        output.warn(told(directory.path, ready.damaged))


def _say_how_to_go_on(
    why: str, experiment: Experiment, directory: RunDirectory, output: Output
) -> None:
    """Say why a run ends before its end, and what stands."""
    output.warn(
        f"{why}: {len(directory.done())} of {len(experiment.trials)} trials are recorded; the same "
        "command goes on from there"
    )


def _write_report(directory: RunDirectory, output: Output) -> Path:
    from gradscope.report import write_report

    [page] = write_report(directory)
    output.say(f"report: {page}")
    return page


def _write_index(folder: Path, done: Done, title: str) -> Path:
    from gradscope.report import write_index

    write_index(folder, [directory.path for directory, _ in done.runs], title)
    return folder / "index.html"
