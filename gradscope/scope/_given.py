"""What the report of a scope is given besides tables and a diagnosis."""

from __future__ import annotations

from collections.abc import Mapping
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

    @classmethod
    def all_of(
        cls, title: str, places: Mapping[str, str], recording: Recording | None
    ) -> list[RecordedPlace]:
        """What is watched, and what a recording calls it.

        Args:
            title: name of the model.
            places: name to kind.
            recording: None before the first.
        """
        names: dict[str, list[str]] = {}
        for name, place in ({} if recording is None else recording.places).items():
            watched = place.recurrence if place.along_depth else place.module
            names.setdefault(watched, []).append(name)
        return [cls(name or title, kind, names.get(name, [])) for name, kind in places.items()]


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
