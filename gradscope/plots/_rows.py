"""Which rows of a table a figure shows."""

from __future__ import annotations

import pandas as pd

from gradscope.results.tables import Tables
from gradscope.results.telling import telling

#: columns that say whose measurement a row of ``Tables.first_and_last`` is, and of when
MEASURED = ["trial", "configuration", "seed", "when", "train_step"]


def present(frame: pd.DataFrame, tables: Tables, most: int | None = None) -> list[str]:
    """The configurations that a frame has rows of, in the order of the sweep.

    Args:
        frame: a table, or a part of one.
        tables: that it is of.
        most: how many at most, those that tell most; None is all.
    """
    held = set(frame["configuration"].unique())
    return telling(tables, len(held) if most is None else most, held)


def moments(frame: pd.DataFrame, tables: Tables) -> list[str]:
    """Which of the first and the last measurement a frame with a column ``when`` holds."""
    return [when for when in tables.words.moments if bool((frame["when"] == when).any())]


def late(tables: Tables, name: str) -> pd.DataFrame:
    """A table's last measurements, at each configuration's greatest length.

    The first ones where no trial has a later one.
    """
    frame = tables.at_longest(tables.first_and_last(name))
    last = frame[frame["when"] == tables.words.last]
    return last if len(last) else frame


def of_first_trials(frame: pd.DataFrame, tables: Tables, most: int | None = None) -> pd.DataFrame:
    """The rows of each configuration's first trial, that of the least seed.

    Args:
        frame: a table, or a part of one.
        tables: that it is of.
        most: how many configurations at most, those that tell most; None is all.
    """
    trials = frame.loc[~frame["trial"].duplicated(), ["configuration", "trial", "seed"]]
    by_seed = trials.sort_values("seed", kind="stable")
    first = by_seed.groupby("configuration")["trial"].first()
    chosen = first.reindex(present(frame, tables, most))
    return frame[frame["trial"].isin(chosen)]


def at_end(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of each trial's last measurement among those of the frame."""
    return frame[frame["train_step"] == frame.groupby("trial")["train_step"].transform("max")]


def ends_of_first_trials(tables: Tables, name: str, most: int) -> pd.DataFrame:
    """The last measurement of each configuration's first trial, at its greatest length."""
    frame = of_first_trials(tables.at_longest(name), tables, most)
    return at_end(tables.ends(frame))
