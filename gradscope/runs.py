"""Runs: an experiment carried out from Python, or opened again from its directory.

import gradscope

run = gradscope.run("quickstart")
run.summary()                          # one row for each configuration and task length
run.tables["jacobian_norms"]           # everything that was measured, as DataFrames
gradscope.plots.gradient_vs_lag(run)   # a matplotlib figure
run.report()                           # a page that works offline
"""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from gradscope.errors import ConfigError, GradscopeError
from gradscope.results.damage import told
from gradscope.results.manifest import Manifest
from gradscope.results.predictions import predictions
from gradscope.results.records import RunDirectory
from gradscope.results.summary import summary
from gradscope.results.tables import Tables, load, outcomes
from gradscope.results.verdict import verdict

if TYPE_CHECKING:  # runs are opened, read and drawn without torch, which these import
    import gradscope.experiment
    import gradscope.experiment.kin
    import gradscope.experiment.model
    import gradscope.experiment.observer


class Run:
    """What an experiment has recorded. ``run`` and ``open_run`` return one.

        run = gradscope.open_run("reports/quickstart")
        run.summary()
        run.tables["memory_horizon"]

    Args:
        path: the run directory.

    Attributes:
        manifest: the experiment, its trials, and the provenance of what is recorded.

    Raises:
        RunDirectoryError: if the directory is not one that a run has written.
    """

    def __init__(self, path: str | PathLike[str]):
        self._directory = RunDirectory(Path(path))
        self.manifest: Manifest = self._directory.manifest()

    @property
    def path(self) -> Path:
        """The run directory."""
        return self._directory.path

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.manifest.name

    @cached_property
    def tables(self) -> Tables:
        """Everything that was recorded, a DataFrame for each probe, read once.

        Raises:
            RunDirectoryError: if no trial is recorded yet.
        """
        return load(self._directory)

    @property
    def trials(self) -> pd.DataFrame:
        """One row for each trial of the sweep, recorded or not.

        Columns: trial (its id), configuration, task, length, seed, outcome (solved, unsolved,
        diverged, failed or missing) and weights (whether they were kept).
        """
        became = outcomes(self._directory, self.tables if self._directory.done() else None)
        return pd.DataFrame(
            {
                "trial": entry.id,
                "configuration": entry.configuration,
                "task": entry.task,
                "length": entry.length,
                "seed": entry.seed,
                "outcome": became[entry.id],
                "weights": self._directory.keeps_weights(entry.id),
            }
            for entry in self.manifest.trials
        )

    @property
    def failures(self) -> dict[str, str]:
        """Trial id to the error by which it failed; divergence is not a failure."""
        return {
            trial: str(failure.get("error", ""))
            for trial, failure in self._directory.failures().items()
        }

    def summary(self) -> pd.DataFrame:
        """One row for each configuration and task length, measures over seeds with intervals.

        Raises:
            RunDirectoryError: if no trial is recorded yet.
        """
        return summary(self.tables, self.manifest.tasks)

    def verdict(self) -> list[str]:
        """Who solved the task, which setting did best, whose gradient vanishes, in sentences.

        Each with its number, its interval and what it rests on.

        Raises:
            RunDirectoryError: if no trial is recorded yet.
        """
        return verdict(self.tables, self.manifest.tasks)

    def predictions(self) -> pd.DataFrame:
        """What the experiment expects beside what was measured.

        Columns: claim, measured, predicted and difference in words; held (True, False, None where
        it is not known), every (whether it holds for every seed), evident (whether what was found
        is beyond chance) and result (in words).

        Raises:
            RunDirectoryError: if no trial is recorded yet.
        """
        return predictions(self.tables, self.manifest.expect, self.manifest.tasks)

    def report(self, format: str = "html") -> Path:
        """Draw all figures and write the report into the run directory; returns the file's path.

        Args:
            format: html (``index.html``), md, ipynb or pdf (``report.<format>``).

        Raises:
            RunDirectoryError: if no trial is recorded yet.
            UnknownNameError: for a format that does not exist.
            MissingPackageError: for a format whose package is not installed.
        """
        from gradscope.report import write_report

        return write_report(self._directory, [format])[0]

    def model(self, trial: str | None = None) -> gradscope.experiment.model.SequenceModel:
        """The trained model of a trial, where ``training: {save_weights: true}`` kept its weights.

        Args:
            trial: its id, as in ``run.trials``, or the label of its configuration; None takes the
                first whose weights were kept.

        Raises:
            GradscopeError: if there is no such trial, or its weights were not kept.
        """
        from gradscope.experiment.sample import trained

        return trained(self._directory, trial).model

    def __repr__(self) -> str:
        recorded, trials = len(self._directory.done()), len(self.manifest.trials)
        return f"Run({str(self.path)!r}: {recorded} of {trials} trials recorded)"

    def _repr_html_(self) -> str:
        from gradscope.notebook import run_html  # here, as it imports the plots

        recorded = len(self._directory.done())
        return run_html(
            self.path,
            self.manifest,
            recorded=recorded,
            tables=self.tables if recorded else None,
            failures=self.failures,
        )


def open_run(path: str | PathLike[str]) -> Run:
    """Open a run directory, finished or not.

        gradscope.open_run("reports/quickstart").summary()

    Args:
        path: the run directory.

    Raises:
        RunDirectoryError: if the directory is not one that a run has written.
    """
    return Run(path)


def run(
    experiment: str | PathLike[str] | Mapping[str, object] | gradscope.experiment.Experiment,
    *,
    workers: int = 1,
    out: str | PathLike[str] | None = None,
    progress: bool | gradscope.experiment.observer.Observer | None = None,
    overrides: Mapping[str, object] | None = None,
    device: str = "cpu",
    population: gradscope.experiment.kin.Population = "auto",
    scheduler: gradscope.experiment.Scheduler | str | None = None,
    log: str | Sequence[str] = (),
) -> Run:
    """Run the trials of an experiment that are not recorded yet.

        gradscope.run("experiments/clipping.yaml", overrides={"training.steps": 200})
        gradscope.run({"task": "adding", "sweep": {"cell": ["rnn", "lstm"]}}, out="reports/mine")

    A run can be stopped at any time, also by Ctrl-C, and started again; what is recorded stays. It
    writes no report: ``Run.report`` does.

    Args:
        experiment: the path of a YAML file, the name of an experiment that comes with gradscope
            (``"quickstart"``), YAML text, a mapping, or an ``Experiment``.
        workers: 1 runs in this process; more run in as many processes. A script that registers
            components of its own has to ask for more under ``if __name__ == "__main__":``, as the
            processes import it.
        out: the run directory; None is ``reports/<name>``.
        progress: whether to show it, or who is told of it; None shows it.
        overrides: dotted keys to values that take the place of the experiment's.
        device: torch device of every trial.
        population: how many trials that differ in numbers alone train as one program: as many as
            are fastest, at most so many, or none. It changes results by rounding errors.
        scheduler: a Dask scheduler, or its address, to use instead of processes of this machine.
        log: trackers that take every trial when it is recorded, such as ``"tensorboard:logs"``.

    Raises:
        ConfigError: for an experiment that cannot be run; nothing has been written then.
        RunDirectoryError: if the directory holds another experiment.
        GradscopeError: if the device or a tracker cannot be used, or workers not be started.
    """
    means = _Means(workers, population, scheduler, device)
    _check(means)
    loaded = _loaded(experiment, overrides)
    directory = RunDirectory(Path("reports") / loaded.name if out is None else Path(out))
    _carry_out(loaded, directory, progress, log, means)
    finished = Run(directory.path)
    _warn_of_failures(finished)
    return finished


class _Means(NamedTuple):
    """What trains the trials of an experiment, as the arguments of ``run``."""

    workers: int
    population: gradscope.experiment.kin.Population
    scheduler: gradscope.experiment.Scheduler | str | None
    device: str


def _check(means: _Means) -> None:
    """Refuse what cannot train anything.

    Raises:
        ValueError: for a number of workers, or a population, that cannot be.
        GradscopeError: for a device that is not there.
    """
    from gradscope.experiment.devices import check_device
    from gradscope.experiment.kin import check_population

    if means.workers < 1:
        raise ValueError(f"workers should be at least 1, got {means.workers}")
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise GradscopeError(
            f"gradscope.run(workers={means.workers}) was reached while a worker process imported "
            "this script; put the call under 'if __name__ == \"__main__\":'"
        )
    check_population(means.population)
    if means.scheduler is None:
        check_device(means.device)


def _carry_out(
    experiment: gradscope.experiment.Experiment,
    directory: RunDirectory,
    progress: bool | gradscope.experiment.observer.Observer | None,
    log: str | Sequence[str],
    means: _Means,
) -> None:
    """Run what the directory does not hold yet."""
    from gradscope.experiment.observer import Several
    from gradscope.experiment.progress import watched_by
    from gradscope.experiment.run import claimed, run_sweep
    from gradscope.tracking import Tracking, trackers_of

    named = [log] if isinstance(log, str) else log
    trackers = trackers_of(named, experiment.name, directory.path)
    tracking = Tracking(trackers, directory, warnings.warn)
    with claimed(experiment, directory, means.device) as ready:
        if ready.damaged:
            warnings.warn(told(directory.path, ready.damaged), stacklevel=3)
        with watched_by(progress, ready.missing) as observer:
            run_sweep(
                experiment,
                directory,
                Several(observer, tracking),
                ready=ready,
                workers=means.workers,
                population=means.population,
                scheduler=means.scheduler,
                device=means.device,
            )


def _loaded(
    experiment: str | PathLike[str] | Mapping[str, object] | gradscope.experiment.Experiment,
    overrides: Mapping[str, object] | None,
) -> gradscope.experiment.Experiment:
    """The experiment, in whichever way it was given.

    Raises:
        ConfigError: for an experiment that cannot be run, or overrides of what has been checked.
    """
    from gradscope.experiment import Experiment

    if isinstance(experiment, Experiment):
        if overrides:
            raise ConfigError("overrides are for a file, a text or a mapping, not an Experiment")
        return experiment
    if isinstance(experiment, Mapping):
        return Experiment.of(experiment, overrides=overrides)
    if isinstance(experiment, str) and ("\n" in experiment or ": " in experiment):
        return Experiment.parse(experiment, overrides=overrides)
    if isinstance(experiment, str | PathLike):
        return Experiment.load(Path(experiment), overrides)
    raise ConfigError(
        f"an experiment is a path, a name, YAML text, a mapping or an Experiment, got "
        f"{type(experiment).__name__}"
    )


def _warn_of_failures(run: Run) -> None:
    """Warn where trials failed."""
    if run.failures:
        trial, error = next(iter(run.failures.items()))
        warnings.warn(
            f"{len(run.failures)} of {len(run.manifest.trials)} trials failed, such as {trial}: "
            f"{error}; Run.failures has all",
            stacklevel=3,
        )
