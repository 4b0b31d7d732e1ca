"""What gradscope's own experiments measured of remedies."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gradscope.results.statistics import student_quantile

#: written by ``python -m benchmarks.league RUN`` from a run of experiments/fights.yaml
MEASURED = Path(__file__).with_name("measured.csv")
#: the label of a simple cell as it is
SIMPLE = "tanh, clip"
#: what takes its place for gated cells
_ITSELF = {"LSTM": "LSTM", "ProjectedLSTM": "LSTM", "GRU": "GRU"}


@dataclass(frozen=True)
class Measured:
    """A remedy against its reference, over the experiment's tasks.

    Attributes:
        tasks: which, in words.
        factor: geometric mean over tasks of loss with the remedy over loss without it; below 1 it
            helps.
        solved: (trials solved with it, trials).
        solved_without: the same without it.
        low: lower end of the factor's 95% interval, by Welch's t on logarithms; NaN where there is
            none.
        high: its upper end.
    """

    tasks: str
    factor: float
    solved: tuple[int, int]
    solved_without: tuple[int, int]
    low: float = math.nan
    high: float = math.nan

    def __str__(self) -> str:
        without = "/".join(map(str, self.solved_without))
        same = self.solved == self.solved_without
        beside = "as without it" if same else f"against {without} without it"
        counted = f"{self.tasks}: solved {self.solved[0]}/{self.solved[1]} trials, {beside}"
        if math.isnan(self.factor):
            return f"{counted}; every seed diverged, so that there is no loss to compare"
        around = "" if math.isnan(self.low) else f" ({self.low:.2g} to {self.high:.2g})"
        evidence = ", no evidence of a difference" if self.low <= 1 <= self.high else ""
        return f"{counted}; loss × {self.factor:.2g}{around}{evidence}"


@dataclass(frozen=True)
class _Row:
    """One entrant on one task: test loss over the memoryless baseline's, trials, and solved."""

    task: str
    length: str
    trials: int
    solved: int
    ratio: float
    low: float
    high: float
    seeds: int

    @property
    def variance(self) -> float:
        """Of the mean logarithm, from the half width of its Student's t interval."""
        half = math.log(self.high / self.low) / 2
        return (half / student_quantile(self.seeds - 1)) ** 2


def against_itself(cell: str, against: str) -> str:
    """The label that a remedy for this class of cell is compared with."""
    return _ITSELF.get(cell, against) if against == SIMPLE else against


@cache
def _league() -> dict[str, list[_Row]]:
    """Entrant to its rows of the league table, one for each task."""
    rows: dict[str, list[_Row]] = {}
    with open(MEASURED, newline="", encoding="utf-8") as lines:
        for line in csv.DictReader(line for line in lines if not line.startswith("#")):
            row = _Row(
                line["task"].replace("_", " "),
                line["length"],
                int(line["trials"]),
                int(line["solved"]),
                float(line["ratio"] or "nan"),
                float(line["low"] or "nan"),
                float(line["high"] or "nan"),
                int(line["trials"]) - int(line["diverged"]),
            )
            rows.setdefault(line["entrant"], []).append(row)
    return rows


def compared(entrant: str, against: str) -> Measured | None:
    """One entrant of the league against another; None if one of them did not take part."""
    rows, others = _league().get(entrant), _league().get(against)
    if not rows or not others:
        return None
    factor = math.exp(_mean_log_ratio(rows) - _mean_log_ratio(others))
    low, high = _interval(factor, rows, others)
    return Measured(_tasks(rows), factor, _solved(rows), _solved(others), low, high)


def _interval(factor: float, rows: list[_Row], others: list[_Row]) -> tuple[float, float]:
    """Of the ratio of two means over tasks, by Welch and Satterthwaite; the seeds are not paired.

    NaN where a mean has no interval.

    Reference: Welch (1947), The generalization of Student's problem.
    """
    entries = [*rows, *others]
    if any(math.isnan(row.low) for row in entries):
        return math.nan, math.nan
    shares = [row.variance / len(side) ** 2 for side in (rows, others) for row in side]
    spare = [share**2 / (row.seeds - 1) for share, row in zip(shares, entries, strict=True)]
    half = student_quantile(sum(shares) ** 2 / sum(spare)) * math.sqrt(sum(shares))
    return factor * math.exp(-half), factor * math.exp(half)


def _mean_log_ratio(rows: list[_Row]) -> float:
    return sum(math.log(row.ratio) for row in rows) / len(rows)


def _solved(rows: list[_Row]) -> tuple[int, int]:
    return sum(row.solved for row in rows), sum(row.trials for row in rows)


def _tasks(rows: list[_Row]) -> str:
    """The tasks in words, the length once where it is one."""
    lengths = {row.length for row in rows}
    if len(lengths) == 1:
        return f"{' and '.join(row.task for row in rows)} at length {lengths.pop()}"
    return " and ".join(f"{row.task} at length {row.length}" for row in rows)
