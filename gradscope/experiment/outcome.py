"""Outcome: what a trial leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field

from gradscope.results.columns import Rows


@dataclass
class Outcome:
    """What a trial leaves behind.

    Attributes:
        tables: name to columns; they depend on the trial's settings alone.
        weights: the model's state dict as safetensors, if the trial keeps it.
        seconds: the time spent (total, probes, evaluation), which depends on the machine.
    """

    tables: dict[str, Rows] = field(default_factory=dict)
    weights: bytes | None = None
    seconds: dict[str, float] = field(
        default_factory=lambda: {"total": 0.0, "probes": 0.0, "evaluation": 0.0}
    )

    def add(self, table: str, **columns: object) -> None:
        """Append rows to a table; a value that is no sequence is repeated in every row."""
        self.tables.setdefault(table, Rows()).add(**columns)

    @property
    def fate(self) -> str:
        """What became of the trial: solved, unsolved or diverged."""
        return str(self.tables["trials"]["outcome"][0])
