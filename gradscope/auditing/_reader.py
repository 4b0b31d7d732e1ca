"""Reader: knows a kind of recurrence by what its module has, and reads its memory there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn


class Read(NamedTuple):
    """What a reader found in a module.

    Attributes:
        part: of the module, such as a layer; "" where it is one.
        rates: nats that each head loses in a step.
        facts: what else there is to say, by name.
        unit: what the rates are of.
    """

    part: str
    rates: Float[Tensor, " heads"]
    facts: Mapping[str, float]
    unit: str = "head"


class Reader(ABC):
    """Reads one kind of recurrence."""

    @abstractmethod
    def knows(self, module: nn.Module) -> bool:
        """Whether a module is of this kind."""

    @abstractmethod
    def read(self, module: nn.Module) -> list[Read]:
        """What its weights say, a part of it at a time."""


def parameter(module: nn.Module, name: str) -> Tensor | None:
    """A weight or a buffer of a module, or of one within it, in float64; None if there is none."""
    found: object = module
    for part in name.split("."):
        if isinstance(found, nn.Sequential | nn.ModuleList) and part.lstrip("-").isdecimal():
            found = found[int(part)] if len(found) else None
        else:
            found = getattr(found, part, None)
    return found.detach().double().cpu() if isinstance(found, Tensor) else None
