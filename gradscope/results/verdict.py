"""The verdict: a run in sentences, from its data alone."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from gradscope.results.formats import factor, listed, share
from gradscope.results.manifest import TaskAbout
from gradscope.results.statistics import STRONG
from gradscope.results.summary import summary
from gradscope.results.tables import Tables

#: what a gradient may do over a sequence, in the order in which it is told
_FATES = ("vanishes", "stays in range", "explodes")


def fate(log_factor: float | int) -> str:
    """Whether ||ds_T/ds_0|| vanishes, explodes or stays in range over a sequence.

    The border is a factor of a thousand.

    >>> fate(-23.0), fate(0.5)
    ('vanishes', 'stays in range')

    Args:
        log_factor: ln ||ds_T/ds_0||; NaN where it is not measured.
    """
    if math.isnan(log_factor):
        return "is not measured"
    if log_factor <= -STRONG:
        return "vanishes"
    return "explodes" if log_factor >= STRONG else "stays in range"


def verdict(tables: Tables, tasks: Mapping[str, TaskAbout] | None = None) -> list[str]:
    """Who solved the task, who diverged, and whose gradient vanishes or explodes.

    At each configuration's greatest task length.

    Args:
        tables: of the run.
        tasks: as ``summary``.
    """
    frame = tables.at_longest(summary(tables, tasks))
    sentences = _success(frame, tables.where)
    diverged = frame[frame["diverged_fraction"] > 0]
    if len(diverged):
        names = [
            f"{row['configuration']} ({share(row['diverged_fraction'])} of trials)"
            for row in diverged.to_dict("records")
        ]
        sentences.append(
            f"Diverged (a loss or gradient that is no longer a number): {listed(names)}."
        )
    if "growth_rate" in frame:
        sentences += _gradients(frame)
    return sentences


def _success(frame: pd.DataFrame, where: str) -> list[str]:
    sentences = []
    for beginning, chosen in (
        (f"Solved{where} by every seed", frame["solved"] == frame["trials"]),
        (
            f"Solved{where} by some seeds",
            (frame["solved"] > 0) & (frame["solved"] < frame["trials"]),
        ),
        (f"Solved{where} by no seed", frame["solved"] == 0),
    ):
        names = [
            f"{row['configuration']} ({row['solved']}/{row['trials']})"
            for row in frame[chosen].to_dict("records")
        ]
        if names:
            sentences.append(f"{beginning}: {listed(names)}.")
    return sentences


def _gradients(frame: pd.DataFrame) -> list[str]:
    lengths = sorted({round(value) for value in frame["steps"].dropna()})
    over = ""
    if len(lengths) == 1:
        over = f"the {lengths[0]} steps of a sequence"
    elif lengths:
        over = f"a sequence ({lengths[0]} to {lengths[-1]} steps)"
    sentences = []
    for column, when in (
        ("log_norm_initial", "Before training"),
        ("log_norm", "At the end of training"),
    ):
        known = frame[frame[column].notna()]
        by_fate: dict[str, list[str]] = {}
        for label, value in zip(known["configuration"], known[column], strict=True):
            by_fate.setdefault(fate(value), []).append(f"{label} (×{factor(value)})")
        parts = [f"{how} for {listed(by_fate[how])}" for how in _FATES if how in by_fate]
        if parts:
            sentences.append(
                f"{when}, over {over}, the gradient of the last state with respect to the "
                f"first, ‖∂s_T/∂s_0‖, {'; it '.join(parts)}."
            )
    return sentences
