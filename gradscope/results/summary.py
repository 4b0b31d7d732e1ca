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
        values = {one.name: one.of(group) for one in _columns(tables, tasks or {})}
        rows.append({"configuration": label, "length": length, **values})
    frame = pd.DataFrame(rows).astype({"trials": int, "solved": int})
    place = {label: index for index, label in enumerate(tables.configurations)}
    return frame.sort_values(
        ["configuration", "length"],
        key=lambda column: column.map(place) if column.name == "configuration" else column,
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
    for one in MEASURES.values():
        if one.needs in tables:
            columns.append(one)
        if one.name == "loss_over_baseline":
            columns += [
                task_measure(name, *words)
                for name, words in _measures_of(tasks).items()
                if name in tables["trials"] and tables["trials"][name].notna().any()
            ]
    return columns


def _measures_of(tasks: Mapping[str, TaskAbout]) -> dict[str, tuple[str, str]]:
    return {name: words for task in tasks.values() for name, words in task.measures.items()}


def formatted(frame: pd.DataFrame, tasks: Mapping[str, TaskAbout] | None = None) -> pd.DataFrame:
    """The summary in print: rounded strings under headings with units.

    Without lengths where the tasks have none, and without columns that have no heading.
    """
    columns: dict[str, list[str]] = {"configuration": frame["configuration"].tolist()}
    if (frame["length"] >= 0).any():
        columns["length (steps)"] = [number(length) for length in frame["length"]]
    rows = frame.to_dict("records")
    own = {name: task_measure(name, *words) for name, words in _measures_of(tasks or {}).items()}
    for name in frame.columns:
        one = MEASURES.get(name) or own.get(name)
        if one is None or not one.heading or (one.only_if_any and not frame[name].any()):
            continue
        columns[one.title] = [one.show(row) for row in rows]
    return pd.DataFrame(columns)
