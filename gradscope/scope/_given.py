"""What the report of a scope is given besides tables and a diagnosis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import pandas as pd


@dataclass(frozen=True)
class RecordedPlace:
    """A module that is watched, what it is, and what its recurrences are called in the figures."""

    place: str
    kind: str
    names: list[str]


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
