"""Measures: the columns of a run's summary, one function each.

A measure gives one value for each trial, and says on which scale they are summarised over seeds and
compared, what it is called in print and in what unit; predictions (``expect:``) may be about it. To
add one, write it here. A task's own, such as bits per character, come from the task.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from gradscope.results.formats import estimated, number, share
from gradscope.results.scales import Sample, Scale
from gradscope.results.statistics import Estimate, median, survival_median

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Group:
    """What was recorded of one configuration at one task length.

    Attributes:
        trials: one row for each trial.
        training: one row for each update; empty where it was not recorded.
        early: the memory horizons of the full state before training; empty where not measured.
        late: the same at the end.
        budgets: trial to the most updates that it was given.
    """

    trials: pd.DataFrame
    training: pd.DataFrame
    early: pd.DataFrame
    late: pd.DataFrame
    budgets: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def seeds(self) -> dict[str, int]:
        """Trial to its seed."""
        return {
            str(trial): int(seed)
            for trial, seed in zip(self.trials["trial"], self.trials["seed"], strict=True)
        }

    def by_seed(self, values: Mapping[str, float]) -> dict[int, float]:
        """Values of trials as those of seeds."""
        return {seed: values[trial] for trial, seed in self.seeds.items() if trial in values}


@dataclass(frozen=True)
class Measure:
    """One column of the summary.

    Attributes:
        name: of the column.
        of: its value for each seed of a group; NaN where it is not known.
        scale: how they become one, and how two groups are compared.
        heading: in print; empty keeps it out of the printed table.
        unit: in print.
        show: a value in print.
        needs: the table without which there is no such column.
        only_if_any: print it only where it is not zero throughout.
        predictable: whether a prediction may be about it.
    """

    name: str
    of: Callable[[Group], Sample]
    scale: Scale
    heading: str = ""
    unit: str = ""
    show: Callable[[float], str] = number
    needs: str = "trials"
    only_if_any: bool = False
    predictable: bool = True

    @property
    def title(self) -> str:
        """Heading and unit."""
        return f"{self.heading} ({self.unit})" if self.unit else self.heading

    def estimate(self, group: Group) -> Estimate:
        """Its value over the seeds of a group, with its interval."""
        return self.scale.estimate(self.of(group))

    def printed(self, estimate: Estimate, trials: int, separator: str = " ") -> str:
        """An estimate in print, with its interval; a share as its count."""
        centre = ""
        if self.scale is Scale.SHARE and estimate.n:
            centre = f"{round(estimate.centre * estimate.n)}/{estimate.n}"
        return estimated(estimate, self.show, of=trials, separator=separator, centre=centre)


#: every measure by name, in the order of the summary's columns
MEASURES: dict[str, Measure] = {}


def measure(
    scale: Scale,
    heading: str = "",
    unit: str = "",
    *,
    show: Callable[[float], str] = number,
    needs: str = "trials",
    only_if_any: bool = False,
    predictable: bool = True,
) -> Callable[[Callable[[Group], Sample]], Callable[[Group], Sample]]:
    """Decorator: make a function of a ``Group`` a column of the summary, under its own name."""

    def decorate(of: Callable[[Group], Sample]) -> Callable[[Group], Sample]:
        name = of.__name__
        MEASURES[name] = Measure(
            name, of, scale, heading, unit, show, needs, only_if_any, predictable
        )
        return of

    return decorate


def task_measure(name: str, heading: str, unit: str, *, positive: bool = True) -> Measure:
    """A column that the task's own trials have, over those that did not diverge.

    Args:
        name: of the column.
        heading: in print.
        unit: in print.
        positive: whether all its values are, so that it is summarised as the loss is.
    """
    scale = Scale.GEOMETRIC if positive else Scale.MEAN
    return Measure(name, lambda group: _column(group, name), scale, heading, unit)


def predictable() -> list[str]:
    """Names that a prediction may be about, beside the tasks' own."""
    return [column.name for column in MEASURES.values() if column.predictable]


@measure(Scale.COUNT, predictable=False)
def trials(group: Group) -> Sample:
    """Number of trials."""
    return Sample(group.by_seed(dict.fromkeys(group.seeds, 1.0)))


@measure(Scale.COUNT, predictable=False)
def solved(group: Group) -> Sample:
    """Number of trials that solved the task."""
    return _outcome(group, "solved")


@measure(Scale.SHARE, "solved", "95% interval", show=share)
def success_rate(group: Group) -> Sample:
    """Share of trials that solved the task."""
    return _outcome(group, "solved")


@measure(Scale.GEOMETRIC, "final test loss")
def final_loss(group: Group) -> Sample:
    """Test loss at the end, over the trials that did not diverge."""
    return _column(group, "final_loss")


@measure(Scale.FACT, predictable=False)
def baseline(group: Group) -> Sample:
    """The least expected loss of a predictor that ignores its inputs."""
    return _column(group, "baseline")


@measure(Scale.GEOMETRIC, "loss / baseline")
def loss_over_baseline(group: Group) -> Sample:
    """Test loss at the end over the baseline, over the trials that did not diverge."""
    return _sample(group, group.trials["final_loss"] / group.trials["baseline"])


@measure(Scale.FRACTION, "wrong", "of answers", show=share)
def wrong_fraction(group: Group) -> Sample:
    """Share of wrong answers at the end, over the trials that did not diverge."""
    return _column(group, "wrong_fraction")


@measure(Scale.DURATION, "steps to solve", "updates")
def steps_to_solve(group: Group) -> Sample:
    """Updates until the task was solved.

    Of a trial that did not solve it they exceed the updates that it took; of one that diverged, all
    that it would have been given, as it would not have come back.
    """
    steps, bounds = _column(group, "steps_to_solve").values, {}
    outcomes = dict(zip(group.trials["seed"], group.trials["outcome"], strict=True))
    taken = _column(group, "steps").values if "steps" in group.trials else {}
    for seed, budget in group.by_seed(group.budgets).items():
        stopped = outcomes[seed] == "unsolved" and seed in taken
        bounds[seed] = taken[seed] if stopped else budget
    times = {}
    for seed, time in steps.items():
        watched = not math.isnan(bounds.get(seed, math.nan))
        times[seed] = math.inf if math.isnan(time) and watched else time
    return Sample(times, {seed: bound for seed, bound in bounds.items() if not math.isnan(bound)})


@measure(Scale.DURATION, "memory horizon", "steps", needs="memory_horizon")
def memory_horizon(group: Group) -> Sample:
    """Lag at which ||ds_T/ds_k|| has fallen by e, of the full state, at the last measurement."""
    return _horizons(group, group.late)


@measure(Scale.MEAN, "growth rate", "nats/step", needs="memory_horizon")
def growth_rate(group: Group) -> Sample:
    """ln ||ds_T/ds_0|| / T, of the full state, at the last measurement."""
    return _over_sequences(group, group.late, "growth_rate")


@measure(Scale.MEAN, needs="memory_horizon", predictable=False)
def log_norm(group: Group) -> Sample:
    """ln ||ds_T/ds_0||, nats, of the full state, at the last measurement."""
    return _over_sequences(group, group.late, "log_norm")


@measure(Scale.FACT, needs="memory_horizon", predictable=False)
def steps(group: Group) -> Sample:
    """Length of the measured sequences."""
    return _over_sequences(group, group.early if group.late.empty else group.late, "time")


@measure(Scale.DURATION, needs="memory_horizon")
def memory_horizon_initial(group: Group) -> Sample:
    """Lag at which ||ds_T/ds_k|| has fallen by e, of the full state, before training."""
    return _horizons(group, group.early)


@measure(Scale.MEAN, needs="memory_horizon")
def growth_rate_initial(group: Group) -> Sample:
    """ln ||ds_T/ds_0|| / T, of the full state, before training."""
    return _over_sequences(group, group.early, "growth_rate")


@measure(Scale.MEAN, needs="memory_horizon", predictable=False)
def log_norm_initial(group: Group) -> Sample:
    """``log_norm`` before training."""
    return _over_sequences(group, group.early, "log_norm")


@measure(Scale.FRACTION, "clipped", "of updates", show=share, needs="training")
def clipped_fraction(group: Group) -> Sample:
    """Share of a trial's updates that the clip changed."""
    changed = group.training["clip_coefficient"] < 1
    shares = changed.groupby(group.training["trial"]).mean()
    return Sample(group.by_seed({str(trial): float(part) for trial, part in shares.items()}))


@measure(Scale.SHARE, "diverged", "of trials", show=share, only_if_any=True)
def diverged_fraction(group: Group) -> Sample:
    """Share of trials whose loss or gradient is no longer a number."""
    return _outcome(group, "diverged")


# --- from tables ----------------------------------------------------------------------------------


def _sample(group: Group, values: pd.Series) -> Sample:
    """The values of a group's trials, in their order."""
    by_seed = zip(group.trials["seed"], values, strict=True)
    return Sample({int(seed): float(value) for seed, value in by_seed})


def _column(group: Group, column: str) -> Sample:
    return _sample(group, group.trials[column])


def _outcome(group: Group, outcome: str) -> Sample:
    return _sample(group, group.trials["outcome"] == outcome)


def _over_sequences(group: Group, frame: pd.DataFrame, column: str) -> Sample:
    """A trial's median over its measured sequences."""
    if frame.empty:
        return Sample({})
    medians = {trial: median(values) for trial, (values,) in _of_each(frame, frame[column])}
    return Sample(group.by_seed(medians))


def _of_each(frame: pd.DataFrame, *columns: ArrayLike) -> Iterator[tuple[str, list[Values]]]:
    """Each trial of a frame and its values of columns that are as long."""
    places: dict[str, list[int]] = {}
    for place, trial in enumerate(frame["trial"].tolist()):
        places.setdefault(str(trial), []).append(place)
    arrays = [np.asarray(column, dtype=float) for column in columns]
    for trial, there in places.items():
        yield trial, [values[there] for values in arrays]


def _horizons(group: Group, frame: pd.DataFrame) -> Sample:
    """A trial's memory horizon, the median over its sequences, and the lag that it was watched to.

    What is only known to lie beyond the longest lag is infinite here, and has that lag as its
    bound; what was extrapolated is a value. Tables of before there was a column ``censored`` do not
    say how far an extrapolation is to be trusted: there it counts as beyond.
    """
    if frame.empty:
        return Sample({})
    longest = frame["longest"] if "longest" in frame else frame["time"]
    if "censored" in frame:
        beyond = frame["censored"].astype(bool)
    else:
        beyond = np.isinf(frame["horizon"]) | (frame["horizon"] > longest)
    values = frame["horizon"].where(~beyond, math.inf)
    bounds = np.where(beyond, longest, np.fmax(longest, frame["horizon"]))
    horizons: dict[str, float] = {}
    watched: dict[str, float] = {}
    for trial, (lags, longest) in _of_each(frame, values, bounds):
        middle = survival_median(lags, longest)
        horizons[trial] = math.inf if middle.censored else middle.centre
        watched[trial] = middle.centre if middle.censored else float(longest.max())
    return Sample(group.by_seed(horizons), group.by_seed(watched))
