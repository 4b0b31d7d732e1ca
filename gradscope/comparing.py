"""Comparing: runs held against each other from Python.

gradscope.compare("reports/before", "reports/after").verdict()
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import pandas as pd

from gradscope.errors import GradscopeError
from gradscope.results import markup
from gradscope.results.run_comparison import RunComparison
from gradscope.results.tables import Tables
from gradscope.runs import Run


class Compared:
    """Runs that are held against the first of them. ``compare`` returns one.

        compared = gradscope.compare("reports/before", "reports/after")
        compared.table                                  # every measure, with intervals
        gradscope.plots.gradient_vs_lag(compared)       # the runs in one figure

    Args:
        runs: name to run; the first is the reference.

    Attributes:
        runs: name to run.

    Raises:
        RunDirectoryError: if a run has no trial recorded, or they have no configuration in common.
    """

    def __init__(self, runs: dict[str, Run]):
        self.runs = runs
        self._comparison = RunComparison(
            {name: (run.manifest, run.tables) for name, run in runs.items()}
        )

    @property
    def tables(self) -> Tables:
        """The tables of all runs in one, and ``differences``; the run is one more axis."""
        return self._comparison.tables

    @property
    def table(self) -> pd.DataFrame:
        """A row for each configuration, task length, measure and run but the first.

        Columns: configuration, length, measure, run, against; value and reference with the ends of
        their 95% intervals (``_low``, ``_high``); effect with its own, a ratio where ``is_ratio``
        and else a difference; p after Holm's correction over the rows of a measure and run;
        evident (beyond chance), paired (seed by seed), seeds, and same (to the last bit).
        """
        return self._comparison.table()

    @property
    def settings(self) -> pd.DataFrame:
        """Settings, versions and machine, as far as they differ: a column for each run."""
        return self._comparison.settings()

    @property
    def missing(self) -> dict[str, list[str]]:
        """Configuration to the runs that lack it."""
        return self._comparison.missing

    def verdict(self) -> list[str]:
        """Which run did best, and where one differs from the first beyond chance, in sentences."""
        return self._comparison.verdict()

    def report(self, out: str | PathLike[str], format: str = "html") -> Path:
        """Write the comparison into a folder; returns the file's path.

        Args:
            out: the folder.
            format: html, md, ipynb or pdf.

        Raises:
            GradscopeError: for a format that does not exist, or whose package is not installed.
        """
        return self.reports(out, [format])[0]

    def reports(self, out: str | PathLike[str], formats: Sequence[str]) -> list[Path]:
        """The same in several formats, whose figures are drawn once."""
        from gradscope.report import write_comparison

        paths = {name: run.path for name, run in self.runs.items()}
        return write_comparison(self._comparison, paths, Path(out), formats)

    def __repr__(self) -> str:
        return f"Compared({', '.join(self.runs)})"

    def _repr_html_(self) -> str:
        names = ", ".join(self.runs)
        return markup.card(
            f"Comparison of {names}",
            markup.paragraph("", name=names),
            markup.points(self.verdict()),
            markup.table(self.settings, "What the runs differ in", words=True),
        )


def compare(*runs: Run | str | PathLike[str]) -> Compared:
    """Hold runs against the first of them, configuration by configuration.

        gradscope.compare("reports/quickstart", "reports/wider").report("reports/wider_or_not")

    A configuration is compared where both runs have it, at the task lengths that both have. Runs
    of one configuration each are compared whatever they call it. They are named by their
    directories.

    Args:
        runs: runs or their directories, two or more.

    Raises:
        GradscopeError: for fewer than two runs, or one named twice.
        RunDirectoryError: if one is no run, has no trial recorded, or they have no configuration in
            common.
    """
    if len(runs) < 2:
        raise GradscopeError(f"a comparison takes two runs or more, got {len(runs)}")
    opened = [run if isinstance(run, Run) else Run(run) for run in runs]
    paths = [run.path.resolve() for run in opened]
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise GradscopeError(f"{twice} is named twice; a run differs in nothing from itself")
    return Compared(dict(zip(_names(paths), opened, strict=True)))


def _names(paths: list[Path]) -> list[str]:
    """What runs are called: as much of the ends of their paths as tells them apart."""
    parts = 1
    while len({_end(path, parts) for path in paths}) < len(paths):
        parts += 1
    return [_end(path, parts) for path in paths]


def _end(path: Path, parts: int) -> str:
    return "/".join(path.parts[-parts:])
