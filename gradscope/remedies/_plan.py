"""Plan: a training that a remedy may change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from torch import nn

_M = TypeVar("_M", bound=nn.Module)


@dataclass
class Plan:
    """A training that a remedy may change: a copy of the model, its learning rate and its clip.

    Attributes:
        model: the copy.
        learning_rate: of the optimiser.
        max_norm: the clip of the gradient's global norm; None clips nothing.
        places: names of the attached modules.
    """

    model: nn.Module
    learning_rate: float
    max_norm: float | None
    places: tuple[str, ...]

    def modules(self, *kinds: type[_M]) -> list[tuple[str, _M]]:
        """The attached modules of these classes, by name."""
        return [
            (name, module)
            for name, module in self.model.named_modules()
            if name in self.places and isinstance(module, kinds)
        ]

    def replace(self, name: str, module: nn.Module) -> None:
        """Put another module in a place."""
        if not name:
            self.model = module
            return
        parent, _, attribute = name.rpartition(".")
        setattr(self.model.get_submodule(parent), attribute, module)
