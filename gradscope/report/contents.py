"""What the report of a run says, whatever it is written as."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from gradscope.report.figures import Shown, drawn
from gradscope.results.effects import effects
from gradscope.results.formats import share
from gradscope.results.manifest import Manifest, TaskAbout
from gradscope.results.phrases import p_value
from gradscope.results.predictions import predictions
from gradscope.results.records import RunDirectory
from gradscope.results.statistics import STRONG
from gradscope.results.summary import formatted, summary
from gradscope.results.tables import Tables, load
from gradscope.results.telling import telling
from gradscope.results.verdict import verdict
from gradscope.results.yardstick import Yardstick, yardstick

#: rows of the summary that are shown unasked
ROWS = 30
#: the factor beyond which a gradient is said to vanish or to explode, in print
STRONG_FACTOR = f"{math.exp(STRONG):.0f}"


@dataclass(frozen=True)
class Cost:
    """Where the time of a run went.

    Attributes:
        total: seconds of all trials together.
        probes: per cent of them that probes took.
        evaluation: per cent of them that tests took.
    """

    total: float
    probes: float
    evaluation: float

    @classmethod
    def of(cls, tables: Tables) -> Cost:
        """Add up the seconds of all trials."""
        total, probes, evaluation = (
            sum((seconds.get(part, 0.0) for seconds in tables.seconds.values()), 0.0)
            for part in ("total", "probes", "evaluation")
        )
        whole = total or 1.0
        return cls(total, 100 * probes / whole, 100 * evaluation / whole)


@dataclass(frozen=True)
class TaskWords:
    """What the tasks of a run ask.

    Attributes:
        names: of the tasks.
        about: what they ask.
        criteria: what counts as solved.
        wrong: what counts as a wrong answer.
    """

    names: str
    about: str
    criteria: str
    wrong: str

    @classmethod
    def of(cls, tasks: Mapping[str, TaskAbout]) -> TaskWords:
        """The words of all of them."""
        return cls(
            names=", ".join(tasks),
            about=" ".join(task.about for task in tasks.values()),
            criteria="; ".join(task.criterion for task in tasks.values()),
            wrong=" ".join(dict.fromkeys(task.wrong for task in tasks.values())),
        )


@dataclass(frozen=True)
class Contents:
    """All that a run's report says.

    Attributes:
        run: the manifest.
        tables: all that was measured.
        recorded: how many trials are.
        failures: trial to why it failed.
        verdict: sentences.
        expectations: what was expected beside what was measured, see ``predictions``.
        whole_summary: a row for each configuration and task length, numbers.
        judged: by what the configurations are.
        effects: term, share and p of what the swept axes explain, in print.
        diverged: configuration, length, seed, steps and cause of each trial that did.
        task: what the tasks ask.
        figures: drawn and saved.
        cost: where the time went.
    """

    run: Manifest
    tables: Tables
    recorded: int
    failures: Mapping[str, Mapping[str, object]]
    verdict: Sequence[str]
    expectations: pd.DataFrame
    whole_summary: pd.DataFrame
    judged: Yardstick
    effects: Sequence[Mapping[str, str]]
    diverged: pd.DataFrame
    task: TaskWords
    figures: Sequence[Shown]
    cost: Cost

    @property
    def title(self) -> str:
        """The experiment's name."""
        return self.run.name

    @property
    def folded(self) -> bool:
        """Whether the summary is too long to be shown whole unasked."""
        return len(self.whole_summary) > ROWS

    def summary(self, *, whole: bool = False) -> pd.DataFrame:
        """The summary in print; unless whole, the rows that tell most of a long one."""
        table = self.whole_summary
        if self.folded and not whole:
            table = table[table["configuration"].isin(telling(self.tables))]
        return formatted(table, self.run.tasks)


def contents_of(run: RunDirectory, figures: Path, *, for_paper: bool = False) -> Contents:
    """Read a run, and draw its figures.

    Args:
        run: the directory.
        figures: the folder that they go into.
        for_paper: whether each is drawn into ``paper`` in there as well, one column wide.

    Raises:
        RunDirectoryError: if no trial is recorded yet, or a file is damaged.
    """
    tables, manifest = load(run), run.manifest()
    trials = tables["trials"]
    judged = yardstick(tables, manifest.tasks)
    columns = ["configuration", "length", "seed", "steps", "cause"]
    return Contents(
        run=manifest,
        tables=tables,
        recorded=len(trials),
        failures=run.failures(),
        verdict=verdict(tables, manifest.tasks),
        expectations=predictions(tables, manifest.expect, manifest.tasks),
        whole_summary=summary(tables, manifest.tasks),
        judged=judged,
        effects=_effects(tables, judged),
        diverged=trials.loc[trials["outcome"] == "diverged", columns],
        task=TaskWords.of(manifest.tasks),
        figures=drawn(manifest.figures, tables, figures, for_paper=for_paper),
        cost=Cost.of(tables),
    )


def _effects(tables: Tables, judged: Yardstick) -> list[dict[str, str]]:
    """What the swept axes explain, in print."""
    return [
        {
            "term": str(row["term"]),
            "share": share(row["share"]),
            "p": "–" if math.isnan(row["p"]) else p_value(row["p"]),
        }
        for row in effects(tables, judged).to_dict("records")
    ]
