"""Measures: the columns of a run's summary, one function each.

A measure says what it is called in print and in what unit, and predictions (``expect:``) may be
about it. To add one, write it here. A task's own, such as bits per character, come from the task.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

import pandas as pd

from gradscope.results.formats import number, share
from gradscope.results.statistics import median, wilson

#: a row of the summary: name of a measure to its value
Row = Mapping[Hashable, float | int]


@dataclass(frozen=True)
class Group:
    """What was recorded of one configuration at one task length.

    Attributes:
        trials: one row for each trial.
        training: one row for each update; empty where it was not recorded.
        early: the memory horizons of the full state before training; empty where not measured.
        late: the same at the end.
    """

    trials: pd.DataFrame
    training: pd.DataFrame
    early: pd.DataFrame
    late: pd.DataFrame


@dataclass(frozen=True)
class Measure:
    """One column of the summary.

    Attributes:
        name: of the column.
        of: its value for a group; NaN where it is not known.
        heading: in print; empty keeps it out of the printed table.
        unit: in print.
        shown: a row's value in print; None is three digits.
        needs: the table without which there is no such column.
        only_if_any: print it only where it is not zero throughout.
        predictable: whether a prediction may be about it.
    """

    name: str
    of: Callable[[Group], float]
    heading: str = ""
    unit: str = ""
    shown: Callable[[Row], str] | None = None
    needs: str = "trials"
    only_if_any: bool = False
    predictable: bool = True

    @property
    def title(self) -> str:
        """Heading and unit."""
        return f"{self.heading} ({self.unit})" if self.unit else self.heading

    def show(self, row: Row) -> str:
        """A row's value in print."""
        return number(row[self.name]) if self.shown is None else self.shown(row)


#: every measure by name, in the order of the summary's columns
MEASURES: dict[str, Measure] = {}


def measure(
    heading: str = "",
    unit: str = "",
    *,
    shown: Callable[[Row], str] | None = None,
    needs: str = "trials",
    only_if_any: bool = False,
    predictable: bool = True,
) -> Callable[[Callable[[Group], float]], Callable[[Group], float]]:
    """Decorator: make a function of a ``Group`` a column of the summary, under its own name."""

    def decorate(of: Callable[[Group], float]) -> Callable[[Group], float]:
        name = of.__name__
        MEASURES[name] = Measure(name, of, heading, unit, shown, needs, only_if_any, predictable)
        return of

    return decorate


def task_measure(name: str, heading: str, unit: str) -> Measure:
    """A column that the task's own trials have: the median over those that did not diverge."""
    return Measure(name, lambda group: _median(group.trials, name), heading, unit)


def predictable() -> list[str]:
    """Names that a prediction may be about, beside the tasks' own."""
    return [column.name for column in MEASURES.values() if column.predictable]


def _success(row: Row) -> str:
    low, high = share(row["success_low"]), share(row["success_high"])
    return f"{row['solved']:.0f}/{row['trials']:.0f} ({low}–{high})"


@measure(predictable=False)
def trials(group: Group) -> float:
    """Number of trials."""
    return float(len(group.trials))


@measure(predictable=False)
def solved(group: Group) -> float:
    """Number of trials that solved the task."""
    return float((group.trials["outcome"] == "solved").sum())


@measure("solved", "95% interval", shown=_success)
def success_rate(group: Group) -> float:
    """Share of trials that solved the task."""
    return solved(group) / trials(group)


@measure(predictable=False)
def success_low(group: Group) -> float:
    """Lower end of the 95% Wilson interval of ``success_rate``."""
    return wilson(int(solved(group)), int(trials(group)))[0]


@measure(predictable=False)
def success_high(group: Group) -> float:
    """Upper end of the 95% Wilson interval of ``success_rate``."""
    return wilson(int(solved(group)), int(trials(group)))[1]


@measure("final test loss")
def final_loss(group: Group) -> float:
    """Test loss at the end: median over trials that did not diverge."""
    return _median(group.trials, "final_loss")


@measure(predictable=False)
def baseline(group: Group) -> float:
    """The least expected loss of a predictor that ignores its inputs."""
    return float(group.trials["baseline"].iloc[0])


@measure("loss / baseline")
def loss_over_baseline(group: Group) -> float:
    """Test loss at the end over the baseline: median over trials that did not diverge."""
    return float((group.trials["final_loss"] / group.trials["baseline"]).median())


@measure("wrong", "of answers", shown=lambda row: share(row["wrong_fraction"]))
def wrong_fraction(group: Group) -> float:
    """Share of wrong answers at the end: median over trials that did not diverge."""
    return _median(group.trials, "wrong_fraction")


@measure("steps to solve", "updates")
def steps_to_solve(group: Group) -> float:
    """Updates until the task was solved: median over the trials that solved it."""
    return _median(group.trials, "steps_to_solve")


@measure("memory horizon", "steps", needs="memory_horizon")
def memory_horizon(group: Group) -> float:
    """Of the full state, at the last measurement: median over trials and sequences."""
    return _median(group.late, "horizon")


@measure("growth rate", "nats/step", needs="memory_horizon")
def growth_rate(group: Group) -> float:
    """ln ||ds_T/ds_0|| / T: the same median as ``memory_horizon``."""
    return median(group.late["growth_rate"])


@measure(needs="memory_horizon", predictable=False)
def log_norm(group: Group) -> float:
    """ln ||ds_T/ds_0||, nats: the same median as ``memory_horizon``."""
    return median(group.late["log_norm"])


@measure(needs="memory_horizon", predictable=False)
def steps(group: Group) -> float:
    """Length of the measured sequences: median."""
    return _median(group.early if group.late.empty else group.late, "time")


@measure(needs="memory_horizon")
def memory_horizon_initial(group: Group) -> float:
    """``memory_horizon`` before training."""
    return _median(group.early, "horizon")


@measure(needs="memory_horizon")
def growth_rate_initial(group: Group) -> float:
    """``growth_rate`` before training."""
    return median(group.early["growth_rate"])


@measure(needs="memory_horizon", predictable=False)
def log_norm_initial(group: Group) -> float:
    """``log_norm`` before training."""
    return median(group.early["log_norm"])


@measure(
    "clipped", "of updates", shown=lambda row: share(row["clipped_fraction"]), needs="training"
)
def clipped_fraction(group: Group) -> float:
    """Mean over trials of the share of updates that the clip changed."""
    changed = group.training["clip_coefficient"] < 1
    return float(changed.groupby(group.training["trial"]).mean().mean())


@measure(
    "diverged", "of trials", shown=lambda row: share(row["diverged_fraction"]), only_if_any=True
)
def diverged_fraction(group: Group) -> float:
    """Share of trials whose loss or gradient is no longer a number."""
    return float((group.trials["outcome"] == "diverged").mean())


def _median(frame: pd.DataFrame, column: str) -> float:
    """Median of a column's known values; NaN where there are none."""
    return float(frame[column].median()) if len(frame) else float("nan")
