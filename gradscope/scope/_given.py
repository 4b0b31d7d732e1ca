"""What the report of a scope is given besides tables and a diagnosis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import pandas as pd

from gradscope.capture import Recording


@dataclass(frozen=True)
class RecordedPlace:
    """A module that is watched, what it is, and what its recurrences are called in the figures."""

    place: str
    kind: str
    names: list[str]


def names_by_module(recording: Recording) -> dict[str, list[str]]:
    """What is watched, by its name in ``Scope.places``, to its recurrences."""
    names: dict[str, list[str]] = {}
    for name, place in recording.places.items():
        watched = place.recurrence if place.along_depth else place.module
        names.setdefault(watched, []).append(name)
    return names


@runtime_checkable
class Tried(Protocol):
    """Remedies that were tried: ``gradscope.RemedyTrials``."""

    @property
    def caption(self) -> str:
        """How they were tried."""
        ...

    def formatted(self) -> pd.DataFrame:
        """One row for each."""
        ...
