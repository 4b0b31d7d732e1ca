"""The yardstick: by which of its measures a run is judged, stated for all its configurations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from gradscope.results.manifest import TaskAbout
from gradscope.results.measures import MEASURES, Measure
from gradscope.results.scales import Sample
from gradscope.results.summary import Place, groups, measures_of
from gradscope.results.tables import Tables

#: times the baseline, at least, that the loss of a trial which diverged counts as in an order
DIVERGED = 10.0
#: how a language model's loss per token is called
BITS = "bits_per_"


@dataclass(frozen=True)
class Yardstick:
    """What configurations are judged by; less is better.

    Attributes:
        measure: of the summary.
        has: what a setting does with what is compared, as in "needs the updates".
        noun: what is compared.
        samples: configuration and length to a value for each seed; a trial that diverged has the
            worst, see ``worst_counted``.
    """

    measure: Measure
    has: str
    noun: str
    samples: Mapping[Place, Sample]


def yardstick(tables: Tables, tasks: Mapping[str, TaskAbout] | None = None) -> Yardstick:
    """The measure that a run is judged by.

    Bits per character or word where every trial is of a language model; else the updates until the
    task was solved, if a trial solved it; else the test loss over the baseline.
    """
    trials, found = tables["trials"], groups(tables)
    bits = [m for m in measures_of(tables, tasks or {}) if m.name.startswith(BITS)]
    if len(bits) == 1 and of_language(tables).all():
        measure, (has, noun) = bits[0], ("spends", bits[0].name.replace("_", " "))
        worst = worst_counted(trials[measure.name], trials["baseline"] / math.log(2), 1.0)
    elif (tables.at_longest("trials")["outcome"] == "solved").any():
        measure, (has, noun), worst = MEASURES["steps_to_solve"], ("needs", "updates"), math.nan
    else:
        measure, (has, noun) = MEASURES["loss_over_baseline"], ("has", "test loss")
        worst = worst_counted(trials["final_loss"] / trials["baseline"])
    samples = {place: _filled(measure.of(group), worst) for place, group in found.items()}
    return Yardstick(measure, has, noun, samples)


def of_language(tables: Tables) -> pd.Series:
    """Which trials are of a language model that is held against n-grams."""
    trials = tables["trials"]
    of_text = [name for name in trials if str(name).startswith(BITS)]
    held = trials["trial"].isin(tables["references"]["trial"] if "references" in tables else [])
    if not of_text:
        return held & False
    tasks = trials.loc[trials[of_text].notna().any(axis=1), "task"] if "task" in trials else None
    return held if tasks is None else held & trials["task"].isin(tasks)


def worst_counted(
    losses: pd.Series, baseline: pd.Series | float = 1.0, times: float = DIVERGED
) -> float:
    """What the loss of a trial that diverged counts as in an order of configurations.

    So many times the baseline, or the greatest loss of a trial that did not diverge if that is
    more. It is for orders and comparisons alone: a mean is over the trials that have a loss.
    """
    least = float(pd.Series(baseline).max()) * times
    greatest = float(losses.max())
    return least if math.isnan(greatest) else max(greatest, least)


def _filled(sample: Sample, worst: float) -> Sample:
    """The same sample, trials without a value having the worst."""
    values = {seed: worst if math.isnan(v) else v for seed, v in sample.values.items()}
    return Sample(values, sample.bounds)
