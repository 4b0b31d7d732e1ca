"""Runs held against each other: configuration by configuration, and what they were made with."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from gradscope.errors import RunDirectoryError
from gradscope.results import phrases
from gradscope.results.combined import RUN, combined, label_of
from gradscope.results.comparisons import Comparison, compare
from gradscope.results.contests import contests
from gradscope.results.formats import listed
from gradscope.results.manifest import Manifest, TaskAbout, leaves
from gradscope.results.measures import Measure
from gradscope.results.scales import Sample
from gradscope.results.statistics import LEVEL, Estimate, holm
from gradscope.results.summary import groups, measures_of
from gradscope.results.tables import Tables
from gradscope.results.yardstick import Yardstick, yardstick

#: the table of ``differences`` among the combined ones
DIFFERENCES = "differences"


@dataclass(frozen=True)
class Difference:
    """A measure of one configuration in two runs.

    Attributes:
        configuration: its label in both.
        length: of the task, -1 where it has none.
        measure: what is compared.
        run: the name of the one.
        against: the name of the other.
        value: the measure in the one, over its seeds.
        reference: the measure in the other.
        comparison: by how much the one differs from the other.
        p: of no difference, by Holm's correction over all configurations and lengths of this
            measure and these two runs; NaN of one seed, and of shares.
    """

    configuration: str
    length: int
    measure: Measure
    run: str
    against: str
    value: Estimate
    reference: Estimate
    comparison: Comparison
    p: float = math.nan

    @property
    def evident(self) -> bool:
        """Whether it is beyond chance; shares, which have no p, by their exact intervals."""
        return self.comparison.evident if math.isnan(self.p) else self.p <= 1 - LEVEL

    @property
    def same(self) -> bool:
        """Whether both have the same seeds, and each the same value in both, to the last bit."""
        gaps = self.comparison.differences
        return bool(gaps) and not any(gaps.values()) and self.value.n == self.reference.n

    def row(self) -> dict[str, object]:
        """As a row of a table."""
        effect = self.comparison.effect
        return {
            "configuration": self.configuration,
            "length": self.length,
            "measure": self.measure.name,
            "run": self.run,
            "against": self.against,
            "value": self.value.centre,
            "value_low": self.value.low,
            "value_high": self.value.high,
            "reference": self.reference.centre,
            "reference_low": self.reference.low,
            "reference_high": self.reference.high,
            "effect": effect.centre,
            "effect_low": effect.low,
            "effect_high": effect.high,
            "is_ratio": self.comparison.is_ratio,
            "p": self.p,
            "evident": self.evident,
            "paired": self.comparison.paired,
            "seeds": min(self.comparison.seeds),
            "same": self.same,
        }


class RunComparison:
    """Two runs or more, lined up by configuration; ``gradscope.compare`` returns one.

    Each run is held against the first one. A configuration is compared where both have it, at the
    task lengths that both have, seed by seed where they have two seeds or more in common.

    Args:
        runs: name to what a run says of itself and its tables; the first is the reference.

    Attributes:
        names: of the runs, in order.
        tables: all of theirs in one, the run being one more axis; ``differences`` is among them.
        missing: configuration to the runs that lack it; empty where all have the same.
        alone: whether no run has more than one configuration, so that these are held against each
            other whatever they are called.

    Raises:
        RunDirectoryError: if the runs have no configuration in common.
    """

    def __init__(self, runs: Mapping[str, tuple[Manifest, Tables]]):
        self.names = list(runs)
        self._manifests = {name: manifest for name, (manifest, _) in runs.items()}
        self._tasks: dict[str, TaskAbout] = {}
        for manifest in self._manifests.values():
            self._tasks |= manifest.tasks
        tables = {name: found for name, (_, found) in runs.items()}
        self._labels = {name: found.configurations for name, found in tables.items()}
        self.alone = all(len(labels) == 1 for labels in self._labels.values())
        self.missing = {} if self.alone else _missing(self._labels)
        if not self.alone and not self._common():
            held = "; ".join(f"{name} has {listed(own, 4)}" for name, own in self._labels.items())
            raise RunDirectoryError(f"the runs have no configuration in common: {held}")
        self.tables = combined(tables, {DIFFERENCES: self.table})
        self._groups = groups(self.tables)

    def _common(self) -> list[str]:
        """Configurations of the first run that another one has as well."""
        first, *others = self._labels.values()
        return [label for label in first if any(label in labels for labels in others)]

    @cached_property
    def judged(self) -> Yardstick:
        """By what the runs are judged, and with what a trial that diverged counts."""
        return yardstick(self.tables, self._tasks)

    @cached_property
    def differences(self) -> list[Difference]:
        """Every measure in every configuration and length that a run shares with the first one."""
        measures = [self.judged.measure, *measures_of(self.tables, self._tasks)]
        unique = {measure.name: measure for measure in measures}
        shown = [m for m in unique.values() if m.heading and m.scale.has_interval]
        shown = [m for m in shown if not m.only_if_any or self._somewhere(m)]
        return [
            difference
            for measure in shown
            for run in self.names[1:]
            for difference in _corrected(list(self._of(measure, run)))
            if any(difference.comparison.seeds)
        ]

    def table(self) -> pd.DataFrame:
        """The differences as a DataFrame.

        Columns: configuration, length, measure, run, against; value and reference with the ends of
        their intervals (``_low``, ``_high``); effect with its interval, a ratio where ``is_ratio``
        and else a difference; p after Holm's correction, evident, paired, seeds and same.
        """
        return pd.DataFrame([difference.row() for difference in self.differences])

    def settings(self) -> pd.DataFrame:
        """What the runs were asked and made with, as far as they differ: a column for each run.

        A setting that a run's own sweep varies shows all its values.
        """
        found = {name: _settings(manifest) for name, manifest in self._manifests.items()}
        keys = dict.fromkeys(key for settings in found.values() for key in settings)
        rows = {
            key: [found[name].get(key, "–") for name in self.names]
            for key in keys
            if len({found[name].get(key) for name in self.names}) > 1
        }
        table = pd.DataFrame.from_dict(rows, orient="index", columns=self.names)
        return table.rename_axis("setting").reset_index()

    def verdict(self) -> list[str]:
        """Which run did best and on what evidence; then where a run differs beyond chance."""
        told = [
            phrases.contest(contest, self.judged)
            for contest in contests(self.tables, self.judged)
            if contest.axis == RUN
        ]
        for run in self.names[1:]:
            told.append(self._against_first(run))
        if self.missing:
            lacking = [
                f"{label} (not in {listed(runs, 4)})" for label, runs in self.missing.items()
            ]
            told.append(f"Not in every run, and left out there: {listed(lacking, 6)}.")
        return told

    def _against_first(self, run: str) -> str:
        """How a run differs from the first one by what runs are judged by."""
        name, first = self.judged.measure.name, self.names[0]
        found = [d for d in self.differences if d.run == run and d.measure.name == name]
        what = f"{self.judged.measure.title}, {run} against {first}"
        if not found:
            return f"{what}: no length of a task is common to both."
        if all(difference.same for difference in found):
            return f"{what}: the same in every seed."
        evident = [d for d in found if d.evident and d.comparison.sign]
        said = [f"{_place(d)} {phrases.effect(d.comparison)}" for d in evident]
        rest = len(found) - len(evident)
        if not evident:
            return f"{what}: no evidence of a difference{_in_any_of(found)}."
        others = (
            f"; no evidence in the {'other' if rest == 1 else f'{rest} others'}" if rest else ""
        )
        return f"{what}: beyond chance in {listed(said, 6)}{others}."

    def _somewhere(self, measure: Measure) -> bool:
        """Whether a measure is not zero throughout."""
        return any(measure.estimate(group).centre for group in self._groups.values())

    def _of(self, measure: Measure, run: str) -> Iterator[Difference]:
        """A measure of a run against the first one, place by place."""
        first = self.names[0]
        for label in self._labels[run]:
            reference = self._labels[first][0] if self.alone else label
            ours = label_of(label, run, alone=self.alone)
            theirs = label_of(reference, first, alone=self.alone)
            for name, length in self._groups:
                if name == ours and (theirs, length) in self._groups:
                    yield self._difference(measure, (label, length), run, (ours, theirs))

    def _difference(
        self, measure: Measure, place: tuple[str, int], run: str, names: tuple[str, str]
    ) -> Difference:
        label, length = place
        here, there = (self._groups[name, length] for name in names)
        samples = [self._sample(measure, name, length) for name in names]
        return Difference(
            label,
            length,
            measure,
            run,
            self.names[0],
            measure.estimate(here),
            measure.estimate(there),
            compare(measure.scale, *samples),
        )

    def _sample(self, measure: Measure, name: str, length: int) -> Sample:
        """Of what runs are judged by, a trial that diverged has the worst."""
        place = name, length
        if measure.name == self.judged.measure.name and place in self.judged.samples:
            return self.judged.samples[place]
        return measure.of(self._groups[place])

    def __repr__(self) -> str:
        return f"RunComparison({', '.join(self.names)}: {len(self.differences)} differences)"


def _corrected(found: list[Difference]) -> list[Difference]:
    """The differences of one measure between two runs, p by Holm's correction."""
    corrected = holm([difference.comparison.p for difference in found])
    return [replace(d, p=p) for d, p in zip(found, corrected, strict=True)]


def _missing(labels: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Configuration to the runs that lack it."""
    every = dict.fromkeys(label for own in labels.values() for label in own)
    lacking = {label: [run for run, own in labels.items() if label not in own] for label in every}
    return {label: runs for label, runs in lacking.items() if runs}


def _settings(manifest: Manifest) -> dict[str, str]:
    """Dotted key to the values that a run's trials have, and what the run was made with."""
    values: dict[str, dict[str, None]] = {}
    for trial in manifest.trials:
        for key, value in leaves(trial.settings):
            said = value if isinstance(value, str) else json.dumps(value)
            values.setdefault(key, {})[said] = None
    found = {key: listed(list(several), 6) for key, several in values.items()}
    last = manifest.provenance[-1]
    found |= {f"version of {name}": version for name, version in last.versions.items()}
    found |= {"device": last.device, "git revision": last.git or "–"}
    found |= {"processor": str(last.hardware.get("processor") or last.hardware.get("machine"))}
    return found


def _place(difference: Difference) -> str:
    """Where it is, such as "lstm at length 50"."""
    length = f" at length {difference.length}" if difference.length >= 0 else ""
    return f"{difference.configuration}{length}"


def _in_any_of(found: Sequence[Difference]) -> str:
    """Where nothing was found."""
    if len(found) == 1:
        return f" in {_place(found[0])}"
    lengths = " and lengths" if len({difference.length for difference in found}) > 1 else ""
    return f" in any of {len(found)} configurations{lengths}"
