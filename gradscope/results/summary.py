"""The summary of a run: a row for each configuration and task length, a column for each measure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from gradscope.results.formats import number
from gradscope.results.manifest import TaskAbout, TrialEntry
from gradscope.results.measures import MEASURES, Group, Measure, task_measure
from gradscope.results.scales import Scale
from gradscope.results.statistics import Estimate
from gradscope.results.tables import Tables

#: a configuration and its task length, -1 where the task has none
Place = tuple[str, int]


def summary(tables: Tables, tasks: Mapping[str, TaskAbout] | None = None) -> pd.DataFrame:
    """One row for each configuration and task length (-1 where the task has none).

    The columns are the measures of ``gradscope.results.measures`` and the tasks' own, such as bits
    per character, each over the seeds as its scale says. Behind a measure stand its interval
    (``_low``, ``_high``), the seeds that it is of (``_n``), and, for durations, whether it is only
    known to lie beyond (``_censored``).

    Args:
        tables: of the run.
        tasks: what its tasks say of themselves, as its manifest has it.
    """
    words = tuple(task_words(tasks or {}).items())
    return tables.once(("summary", words), lambda: _summary(tables, tasks or {})).copy()


def _summary(tables: Tables, tasks: Mapping[str, TaskAbout]) -> pd.DataFrame:
    columns, rows = measures_of(tables, tasks), []
    for (label, length), group in groups(tables).items():
        row: dict[str, object] = {"configuration": label, "length": length}
        for measure in columns:
            row |= _flat(measure, measure.estimate(group))
        rows.append(row)
    return pd.DataFrame(rows).astype({"trials": int, "solved": int})


def groups(tables: Tables) -> dict[Place, Group]:
    """What was recorded of each configuration at each task length, in the order of the sweep."""
    return tables.once("groups", lambda: _groups(tables))


def _groups(tables: Tables) -> dict[Place, Group]:
    training = tables["training"] if "training" in tables else pd.DataFrame({"trial": []})
    parts = [_by_place(part) for part in (training, *_horizons(tables))]
    budgets = _budgets(tables)
    found: dict[Place, Group] = {}
    for (label, length), trials in tables["trials"].groupby(
        ["configuration", "length"], sort=False
    ):
        place = str(label), int(str(length))
        here = [part(place) for part in parts]
        of_trials = {str(trial): budgets[str(trial)] for trial in trials["trial"]}
        found[place] = Group(trials, here[0], here[1], here[2], of_trials)
    rank = {label: index for index, label in enumerate(tables.configurations)}
    return dict(sorted(found.items(), key=lambda item: (rank[item[0][0]], item[0][1])))


def _by_place(frame: pd.DataFrame) -> Callable[[Place], pd.DataFrame]:
    """The rows of a table by configuration and length; none where it has none."""
    if frame.empty:
        return lambda place: frame
    rows = frame.groupby(["configuration", "length"], sort=False).indices
    nothing = np.empty(0, dtype=int)
    return lambda place: frame.iloc[np.asarray(rows.get(place, nothing))]


def measures_of(tables: Tables, tasks: Mapping[str, TaskAbout]) -> list[Measure]:
    """The measures that this run has, the tasks' own behind the losses."""
    columns, trials = [], tables["trials"]
    for column in MEASURES.values():
        if column.needs in tables:
            columns.append(column)
        if column.name == "loss_over_baseline":
            columns += [
                task_measure(name, *words, positive=not (trials[name] <= 0).any())
                for name, words in task_words(tasks).items()
                if name in trials and trials[name].notna().any()
            ]
    return columns


def task_words(tasks: Mapping[str, TaskAbout]) -> dict[str, tuple[str, str]]:
    """The tasks' own measures: name to (heading, unit)."""
    return {name: words for task in tasks.values() for name, words in task.measures.items()}


def formatted(frame: pd.DataFrame, tasks: Mapping[str, TaskAbout] | None = None) -> pd.DataFrame:
    """The summary in print: rounded strings under headings with units, intervals on a second line.

    Lengths are left out where the tasks have none, and so is every measure without a heading.

    Args:
        frame: a summary, or rows of one.
        tasks: as ``summary``.
    """
    columns: dict[str, list[str]] = {"configuration": frame["configuration"].tolist()}
    if (frame["length"] >= 0).any():
        columns["length (steps)"] = [number(length) for length in frame["length"]]
    numbers = frame.drop(columns="configuration").to_dict("records")
    rows = [{str(name): value for name, value in row.items()} for row in numbers]
    own = {name: task_measure(name, *words) for name, words in task_words(tasks or {}).items()}
    known = {**own, **MEASURES}
    for name in frame.columns:
        measure = known.get(name)
        if measure is None or not measure.heading:
            continue
        if frame[name].any() or not measure.only_if_any:
            columns[measure.title] = [
                measure.printed(_of_row(measure, row), int(row["trials"]), "\n") for row in rows
            ]
    return pd.DataFrame(columns)


def _flat(measure: Measure, estimate: Estimate) -> dict[str, float | int | bool]:
    """An estimate as columns."""
    name, columns = measure.name, {measure.name: estimate.centre}
    if measure.scale.has_interval:
        columns |= {f"{name}_low": estimate.low, f"{name}_high": estimate.high}
        columns |= {f"{name}_n": estimate.n}
    if measure.scale is Scale.DURATION:
        columns |= {f"{name}_censored": estimate.censored}
    return columns


def _of_row(measure: Measure, row: Mapping[str, float | int]) -> Estimate:
    """The estimate that columns hold."""
    name = measure.name
    if not measure.scale.has_interval:
        return Estimate(row[name])
    n = int(row[f"{name}_n"])
    ends = row[f"{name}_low"], row[f"{name}_high"]
    censored = bool(row.get(f"{name}_censored", False))
    return Estimate(row[name], *ends, n, measure.scale.level(n), censored)


def _horizons(tables: Tables) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The memory horizons of the full state at the first and at the last measurement."""
    if "memory_horizon" not in tables:
        nothing = pd.DataFrame({"trial": []})
        return nothing, nothing
    horizons = tables.first_and_last("memory_horizon", "state")
    first, last = (horizons[horizons["when"] == when] for when in tables.words.moments)
    return first, last


def _budgets(tables: Tables) -> dict[str, float]:
    """Trial to the updates that its settings give it; else the most that any trial took."""
    trials = tables["trials"]
    taken = [trials[name].max() for name in ("steps", "steps_to_solve") if name in trials]
    most = max((float(steps) for steps in taken if steps == steps), default=math.nan)
    settings = {entry.id: _budget(entry) for entry in tables.trials}
    return {str(trial): settings.get(str(trial)) or most for trial in trials["trial"]}


def _budget(entry: TrialEntry) -> float | None:
    training = entry.settings.get("training")
    steps = training.get("steps") if isinstance(training, dict) else None
    return float(steps) if isinstance(steps, int) else None
