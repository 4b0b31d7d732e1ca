"""Contests: for each axis of a sweep, which of its settings did best, and on what evidence."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gradscope.results.comparisons import Comparison, compare_blocks
from gradscope.results.manifest import REPETITIONS, TrialEntry
from gradscope.results.scales import Sample
from gradscope.results.statistics import LEVEL, holm
from gradscope.results.tables import Tables
from gradscope.results.yardstick import Yardstick

#: the labels of a configuration on the other axes
Block = tuple[str, ...]


@dataclass(frozen=True)
class Standing:
    """A setting beside the best one of its axis.

    Attributes:
        label: of the setting.
        best: the best setting's value against this one's.
        p: of no difference, by Holm's correction over all pairs of the axis; NaN where one seed
            says nothing.
    """

    label: str
    best: Comparison
    p: float

    @property
    def evident(self) -> bool:
        """Whether the difference is beyond chance."""
        return self.p <= 1 - LEVEL


@dataclass(frozen=True)
class Contest:
    """An axis of the sweep and its settings from the best to the worst.

    Attributes:
        axis: its name.
        best: the label that did best.
        others: the others, the next best first.
        pairs: of settings, over which p-values are corrected.
    """

    axis: str
    best: str
    others: list[Standing]
    pairs: int


def contests(tables: Tables, judged: Yardstick) -> list[Contest]:
    """A contest for each axis whose settings are held against each other on the same task.

    An axis along which the task itself changes is none. Everything is at each configuration's
    greatest length. Two settings are compared within the blocks that the other axes make, seed by
    seed; see ``compare_blocks``.
    """
    found = []
    for axis in contested(tables):
        cells = _cells(tables, axis, judged)
        if len(cells) > 1:
            found.append(_contest(axis, cells, judged))
    return found


def contested(tables: Tables) -> list[str]:
    """The axes whose settings meet the same tasks."""
    return [axis for axis in settings_axes(tables) if _meet_the_same_tasks(tables.trials, axis)]


def settings_axes(tables: Tables) -> list[str]:
    """The axes of the sweep but for seeds and task lengths."""
    axes = dict.fromkeys(axis for entry in tables.trials for axis in entry.axes)
    return [axis for axis in axes if axis not in REPETITIONS]


def _meet_the_same_tasks(entries: Sequence[TrialEntry], axis: str) -> bool:
    tasks: dict[str, set[str]] = {}
    for entry in entries:
        task = json.dumps(entry.settings.get("task"), sort_keys=True, default=str)
        tasks.setdefault(entry.axes.get(axis, ""), set()).add(task)
    return len(tasks) > 1 and len({frozenset(met) for met in tasks.values()}) == 1


def _cells(tables: Tables, axis: str, judged: Yardstick) -> dict[str, dict[Block, Sample]]:
    """Setting of the axis to its sample in each block, as far as they are recorded."""
    cells: dict[str, dict[Block, Sample]] = {}
    for entry in tables.trials:
        length = tables.longest[entry.configuration]
        place = entry.configuration, -1 if length is None else length
        sample = judged.samples.get(place)
        if entry.length != length or sample is None or not sample.seeds:
            continue
        others = (a for a in entry.axes if a != axis and a not in REPETITIONS)
        block = tuple(entry.axes[other] for other in others)
        cells.setdefault(entry.axes.get(axis, ""), {})[block] = sample
    return cells


def _contest(axis: str, cells: Mapping[str, Mapping[Block, Sample]], judged: Yardstick) -> Contest:
    order = _order(cells, judged)
    compared = {
        (first, second): compare_blocks(judged.measure.scale, _blocks(cells[first], cells[second]))
        for first, second in itertools.combinations(order, 2)
    }
    corrected = dict(zip(compared, holm([c.p for c in compared.values()]), strict=True))
    best, *rest = order
    others = [Standing(o, compared[best, o], corrected[best, o]) for o in rest]
    return Contest(axis, best, others, len(compared))


def _blocks(
    first: Mapping[Block, Sample], second: Mapping[Block, Sample]
) -> list[tuple[Sample, Sample]]:
    return [(sample, second[block]) for block, sample in first.items() if block in second]


def _order(cells: Mapping[str, Mapping[Block, Sample]], judged: Yardstick) -> list[str]:
    """Settings by their mean over blocks and seeds, the least first.

    Over the blocks that all have, if there are any. Of two with the same mean the one with fewer
    seeds that are only known to exceed their bound comes first.
    """
    shared = set.intersection(*(set(blocks) for blocks in cells.values()))
    scale, ranks = judged.measure.scale, {}
    watched = {block: _bound(cells, block) for blocks in cells.values() for block in blocks}
    for label, blocks in cells.items():
        beyond = [math.isinf(s.values[seed]) for s in blocks.values() for seed in s.seeds]
        values = [
            scale.comparable(sample, seed, watched[block])
            for block, sample in blocks.items()
            if not shared or block in shared
            for seed in sample.seeds
        ]
        ranks[label] = (float(np.mean(values)) if values else math.inf, float(np.mean(beyond)))
    return sorted(ranks, key=lambda label: ranks[label])


def _bound(cells: Mapping[str, Mapping[Block, Sample]], block: Block) -> float:
    """How long every seed in a block was watched."""
    there = [blocks[block] for blocks in cells.values() if block in blocks]
    return min((sample.bound(seed) for sample in there for seed in sample.seeds), default=math.inf)
