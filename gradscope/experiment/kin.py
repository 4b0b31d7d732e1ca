"""Which trials may train as one program: those that differ in numbers alone.

They may have different seeds, initial weights, numbers of the optimiser and numbers of the clip;
whatever decides the operations of an update is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from gradscope.cells import Cell
from gradscope.components import registry
from gradscope.components.base import class_of, name_of
from gradscope.components.identity import identified, sha256
from gradscope.experiment.schema import Settings, Trial
from gradscope.experiment.throughput import best_size

#: how trials may train together: as many as are fastest, at most so many, or each alone
Population = Literal["auto", "off"] | int
#: updates of all trials of a group from which it is worth to measure what is fastest
_WORTH = 2000


def kin(trials: Sequence[Trial], most: int) -> list[list[Trial]]:
    """The trials in groups that may train together, in the order of their first ones.

    Args:
        trials: in any order.
        most: trials of a group at most; larger groups are divided evenly.
    """
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        found.setdefault(_shared(trial.settings) or trial.id, []).append(trial)
    groups: list[list[Trial]] = []
    for group in found.values():
        parts = -(-len(group) // most)
        size = -(-len(group) // parts)
        groups += [group[start : start + size] for start in range(0, len(group), size)]
    return groups


def arranged(
    trials: Sequence[Trial], population: Population, *, workers: int, device: str
) -> list[list[Trial]]:
    """The trials in the groups in which they train.

    A measured group is never so large that a worker would be left without one.

    Args:
        trials: what is to train.
        population: the largest group; ``auto`` measures what is fastest, ``off`` trains each alone.
        workers: processes that train at the same time.
        device: torch device of every trial.
    """
    if population == "off" or not trials:
        return [[trial] for trial in trials]
    if population != "auto":
        return kin(trials, population)
    groups, most = [], max(1, len(trials) // max(1, workers))
    for group in kin(trials, len(trials)):
        longest = sum(trial.settings.training.steps for trial in group)
        worth = len(group) > 1 and longest >= _WORTH
        size = best_size(group, most=most, workers=workers, device=device) if worth else 1
        groups += kin(group, size)
    return groups


def check_population(population: Population) -> None:
    """Refuse what is no size of populations.

    Raises:
        ValueError: for anything but ``auto``, ``off`` and a number above 0.
    """
    is_number = isinstance(population, int) and not isinstance(population, bool)
    if population not in ("auto", "off") and not (is_number and population >= 1):
        raise ValueError(
            f"population should be 'auto', 'off' or a number of trials, got {population!r}"
        )


def may_join(settings: Settings) -> bool:
    """Whether a trial of these settings may train with others at all.

    It may not where adjoints are changed step by step inside backpropagation, or where its cell
    does not say that its weights may have a ``trial`` axis in front.
    """
    cell = class_of(type(settings.cell))
    assert issubclass(cell, Cell)
    says = cell.takes_trials and (registry.is_own(cell) or "takes_trials" in vars(cell))
    return says and not settings.clip.inside and settings.training.tbptt_random is None


def _shared(settings: Settings) -> str | None:
    """What trials that train together have in common; None for one that trains alone."""
    if not may_join(settings):
        return None
    cell = class_of(type(settings.cell))
    assert issubclass(cell, Cell)
    options = vars(settings.cell).items()
    same = {name: identified(value) for name, value in options if name not in cell.of_start}
    named = [name_of(type(part)) for part in (settings.cell, settings.optimizer, settings.clip)]
    whole = {
        key: identified(value)
        for key, value in settings
        if key not in ("seed", "cell", "optimizer", "clip")
    }
    return sha256([named, same, whole])
