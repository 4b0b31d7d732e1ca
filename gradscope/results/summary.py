"""The summary of a run: a row for each configuration and task length, a column for each measure."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from gradscope.results.formats import number
from gradscope.results.manifest import TaskAbout
from gradscope.results.measures import MEASURES, Group, Measure, task_measure
from gradscope.results.tables import Tables


def summary(tables: Tables, tasks: Mapping[str, TaskAbout] | None = None) -> pd.DataFrame:
    """One row for each configuration and task length (-1 where the task has none).

    The columns are the measures of ``gradscope.results.measures`` and the tasks' own, such as bits
    per character: medians over trials unless they say otherwise; ``trials`` and ``solved`` count.

    Args:
        tables: of the run.
        tasks: what its tasks say of themselves, as its manifest has it.
    """
    horizons = _horizons(tables)
    rows = []
    for (label, length), trials in tables["trials"].groupby(
        ["configuration", "length"], sort=False
    ):
        early, late = (part[part["trial"].isin(trials["trial"])] for part in horizons)
        training = tables["training"] if "training" in tables else pd.DataFrame({"trial": []})
        training = training[training["trial"].isin(trials["trial"])]
        group = Group(trials, training, early, late)
        values = {column.name: column.of(group) for column in _columns(tables, tasks or {})}
        rows.append({"configuration": label, "length": length, **values})
    frame = pd.DataFrame(rows).astype({"trials": int, "solved": int})
    place = {label: index for index, label in enumerate(tables.configurations)}
    return frame.sort_values(
        ["configuration", "length"],
        key=lambda values: values.map(place) if values.name == "configuration" else values,
        ignore_index=True,
    )


def _horizons(tables: Tables) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The memory horizons of the full state at the first and at the last measurement."""
    if "memory_horizon" not in tables:
        nothing = pd.DataFrame({"trial": []})
        return nothing, nothing
    horizons = tables.first_and_last("memory_horizon")
    horizons = horizons[horizons["block"] == "state"]
    first, last = (horizons[horizons["when"] == when] for when in tables.words.moments)
    return first, last


def _columns(tables: Tables, tasks: Mapping[str, TaskAbout]) -> list[Measure]:
    """The measures that this run has, the tasks' own behind the losses."""
    columns = []
    trials = tables["trials"]
    for column in MEASURES.values():
        if column.needs in tables:
            columns.append(column)
        if column.name == "loss_over_baseline":
            columns += [
                measure
                for name, measure in _measures_of(tasks).items()
                if name in trials and trials[name].notna().any()
            ]
    return columns


def _measures_of(tasks: Mapping[str, TaskAbout]) -> dict[str, Measure]:
    """The tasks' own measures by name."""
    return {
        name: task_measure(name, *words)
        for task in tasks.values()
        for name, words in task.measures.items()
    }


def formatted(frame: pd.DataFrame, tasks: Mapping[str, TaskAbout] | None = None) -> pd.DataFrame:
    """The summary in print: rounded strings under headings with units.

    Lengths are left out where the tasks have none, and so is every measure without a heading.

    Args:
        frame: a summary, or rows of one.
        tasks: as ``summary``.
    """
    columns: dict[str, list[str]] = {"configuration": frame["configuration"].tolist()}
    if (frame["length"] >= 0).any():
        columns["length (steps)"] = [number(length) for length in frame["length"]]
    rows = frame.drop(columns="configuration").to_dict("records")
    known = {**_measures_of(tasks or {}), **MEASURES}
    for name in frame.columns:
        measure = known.get(name)
        if measure is None or not measure.heading:
            continue
        if frame[name].any() or not measure.only_if_any:
            columns[measure.title] = [measure.show(row) for row in rows]
    return pd.DataFrame(columns)
