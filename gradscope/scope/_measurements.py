"""Measurements: what probes measured of every recording."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain, repeat
from typing import NamedTuple

import numpy as np
import pandas as pd

from gradscope.capture import GradientNorms, Recording
from gradscope.errors import GradscopeError, NoLossError
from gradscope.findings import ClippedNorm
from gradscope.probes import Columns, Probe
from gradscope.results.manifest import TrialEntry
from gradscope.results.tables import Tables
from gradscope.results.words import RECORDINGS
from gradscope.scope._budget import Budget

#: the table of the parameters' gradient norms
GRAD_NORMS = "grad_norms"


#: (how many probes have measured, of how many, the next one's name): told as a report is measured
Progress = Callable[[int, int, str], object]


class Measurement(NamedTuple):
    """What one probe measured of one recurrence.

    Attributes:
        recurrence: its name; "" of the parameters.
        train_step: of the recording.
        columns: name to equally long sequences.
    """

    recurrence: str
    train_step: int
    columns: Columns


class Measurements:
    """Grows with every recording.

    Attributes:
        recurrences: all names that were recorded, in the order of their first recording.
        recordings: how many there were.
        history: train_step to the gradient's norm over all parameters.
        skipped: "probe of recurrence" to why it could not be measured.
    """

    def __init__(self) -> None:
        self.recurrences: list[str] = []
        self.recordings = 0
        self.history: dict[int, ClippedNorm] = {}
        self.skipped: dict[str, str] = {}
        self._by_table: dict[str, list[Measurement]] = {}

    def add(self, recording: Recording, probes: Sequence[Probe]) -> None:
        """Take in a recording: its gradient norms, and what the probes measure of it."""
        self.recordings += 1
        self.recurrences += [name for name in recording.traces if name not in self.recurrences]
        if recording.gradients:
            norms = recording.gradients.values()
            before, after = [norm.before for norm in norms], [norm.after for norm in norms]
            columns = {
                "parameter": list(recording.gradients),
                "size": [norm.size for norm in norms],
                "grad_norm_preclip": before,
                "grad_norm_postclip": after,
            }
            self._keep(GRAD_NORMS, Measurement("", recording.train_step, columns))
            self.history[recording.train_step] = _joint(norms)
        self.measure(recording, probes)

    def measure(
        self,
        recording: Recording,
        probes: Sequence[Probe],
        budget: Budget | None = None,
        progress: Progress | None = None,
    ) -> None:
        """What the probes measure of a recording; what they have measured of it already stays.

        Args:
            recording: whose traces are measured.
            probes: in this order, those that cost little first where there is a budget.
            budget: of time; what does not fit into it is skipped.
            progress: is told of each probe before it begins.
        """
        finite = {
            name: trace
            for name, trace in recording.traces.items()
            if name not in recording.nonfinite
        }
        budget = budget or Budget(None)
        for number, probe in enumerate(budget.in_order(probes, finite.values())):
            if progress is not None:
                progress(number, len(probes), probe.name)
            done = {earlier.recurrence for earlier in self.at(probe.name, recording.train_step)}
            for name, trace in finite.items():
                if name in done:
                    continue
                what = f"{probe.name} of {name}"
                try:
                    budget.check(probe.work(trace), trace)
                    columns = probe.measure(trace)
                except NoLossError:  # nothing went backward through this one
                    continue
                except GradscopeError as error:
                    self.skipped[what] = str(error)
                    continue
                self.skipped.pop(what, None)
                if columns:
                    self._keep(probe.name, Measurement(name, recording.train_step, columns))

    def _keep(self, table: str, measurement: Measurement) -> None:
        self._by_table.setdefault(table, []).append(measurement)

    def at(self, table: str, train_step: int) -> list[Measurement]:
        """What a probe measured of one recording."""
        measured = self._by_table.get(table, [])
        return [measurement for measurement in measured if measurement.train_step == train_step]

    def tables(self) -> Tables:
        """A DataFrame for each probe."""
        frames = {table: _frame(measured) for table, measured in self._by_table.items()}
        entries = [TrialEntry(id=name, configuration=name) for name in self.recurrences]
        return Tables(frames, entries, words=RECORDINGS)

    def left_out(self) -> list[str]:
        """What could not be measured, and why, each reason once."""
        by_reason: dict[str, list[str]] = {}
        for what, reason in self.skipped.items():
            by_reason.setdefault(reason, []).append(what)
        return [f"not measured: {', '.join(what)}: {reason}" for reason, what in by_reason.items()]


def _joint(norms: Collection[GradientNorms]) -> ClippedNorm:
    """The norm over all parameters; after the clip as much smaller as where there was a step."""
    before = math.hypot(*(norm.before for norm in norms))
    stepped = [norm for norm in norms if not math.isnan(norm.after)]
    whole = math.hypot(*(norm.before for norm in stepped))
    if not whole:
        return ClippedNorm(before, math.nan)
    return ClippedNorm(before, before * math.hypot(*(norm.after for norm in stepped)) / whole)


def _frame(measured: Sequence[Measurement]) -> pd.DataFrame:
    """One table of all measurements; a column that only some have is empty in the others."""
    sizes = [len(next(iter(part.columns.values()))) for part in measured]
    names = [part.recurrence for part in measured]
    recurrences = [name for name, size in zip(names, sizes, strict=True) for _ in range(size)]
    keys = dict.fromkeys(key for part in measured for key in part.columns)

    def column(key: str) -> list[object]:
        parts = zip(measured, sizes, strict=True)
        values = (part.columns.get(key, repeat(None, size)) for part, size in parts)
        return list(chain.from_iterable(values))

    about: Mapping[str, object] = {
        "trial": recurrences,
        "configuration": recurrences,
        "length": -1,
        "seed": 0,
        "task": "",
        "train_step": np.repeat([part.train_step for part in measured], sizes),
    }
    return pd.DataFrame({**about, **{key: column(key) for key in keys}})
