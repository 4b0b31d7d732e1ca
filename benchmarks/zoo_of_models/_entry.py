"""An entry of the zoo: a model, a loss, and what is to be found in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

#: sizes that most entries share
TIME, BATCH, INPUT, HIDDEN = 30, 4, 5, 8


@dataclass(frozen=True)
class Case:
    """A model that is ready to be trained.

    Attributes:
        model: in float64.
        loss: of the model; draws all random numbers from torch's own generator.
        steps: of each recurrence that is to be found, by its name.
        options: of ``attach``.
        told: a part of what its notes must say.
        own: whether the weights of the recurrences are used by their recorded steps alone, so that
            their gradients can be put together from the adjoints.
        refused: a part of what ``attach`` must say, of what cannot be attached.
    """

    model: nn.Module
    loss: Callable[[nn.Module], Tensor]
    steps: Mapping[str, int]
    options: Mapping[str, object] = field(default_factory=dict)
    told: str = ""
    own: bool = True
    refused: str = ""


@dataclass(frozen=True)
class Entry:
    """A row of the table.

    Attributes:
        name: of the architecture or loop.
        source: the paper or package that it is of.
        make: builds it, raising ImportError where its package is not installed.
    """

    name: str
    source: str
    make: Callable[[], Case]


ENTRIES: list[Entry] = []


def entry(name: str, source: str) -> Callable[[Callable[[], Case]], Callable[[], Case]]:
    """Add what the decorated function builds to the zoo."""

    def add(make: Callable[[], Case]) -> Callable[[], Case]:
        ENTRIES.append(Entry(name, source, make))
        return make

    return add
