"""Finding: one illness of gradients, found at one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from gradscope.capture import Place
from gradscope.results.formats import number


@dataclass(frozen=True)
class Finding:
    """What a check found at one place.

    Attributes:
        name: of the check that found it, such as ``vanishing``.
        where: the recurrence, or the parameters.
        says: what was found, with the numbers, a sentence in lower case without a full stop.
        severity: 0 (a remark) to 1 (nothing can be learned through this).
        confidence: 0 to 1; for what is seen sequence by sequence, (k + 1) / (n + 2) with k of n
            sequences showing it (Laplace).
        evidence: the numbers by name.
        figure: the plot that shows it; "" where none does.
        remedies: names of what may help.
        place: of the recurrence; None of parameters.
    """

    name: str
    where: str
    says: str
    severity: float
    confidence: float
    evidence: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    figure: str = ""
    remedies: tuple[str, ...] = ()
    place: Place | None = None

    @property
    def title(self) -> str:
        """What was found and where: "vanishing at encoder.lstm"."""
        return f"{self.kind} at {self.where}"

    @property
    def kind(self) -> str:
        """The check's name in words."""
        return self.name.replace("_", " ")

    @property
    def sentence(self) -> str:
        """What it says, as a sentence of its own."""
        return f"{self.says[0].upper()}{self.says[1:]}."

    @property
    def numbers(self) -> dict[str, str]:
        """The evidence in print, by name in words."""
        return {name.replace("_", " "): number(value) for name, value in self.evidence.items()}

    @property
    def recurrence(self) -> str:
        """The recurrence that it is at, without the stretch."""
        return self.where if self.place is None else self.place.recurrence
