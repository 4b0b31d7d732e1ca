"""Memory: how long one recurrence remembers at rest, head by head."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor

#: nats that are lost where a thousandth is left
_THOUSANDTH = math.log(1000)


@dataclass(frozen=True, eq=False)
class Memory:
    """How fast a recurrence forgets where its input is zero, by its weights alone.

    Attributes:
        place: the module's name in the model.
        kind: the module's class.
        unit: what the numbers are of: a head, a channel, a unit or a mode.
        rates: nats that each of them loses in a step, the slowest of its keys; below 0 it grows.
        facts: what else the weights say, by name: ``spectral_radius`` of the step's Jacobian at
            rest, ``forget_gate`` (mean), ``chi`` of the mean field, and so on.
    """

    place: str
    kind: str
    unit: str
    rates: Float[Tensor, " heads"]
    facts: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def count(self) -> int:
        """How many heads there are."""
        return len(self.rates)

    @property
    def horizons(self) -> Float[Tensor, " heads"]:
        """1 / rate: the steps after which a head has lost a factor e; inf where it does not."""
        rates = self.rates.double()
        return torch.where(rates > 0, 1 / rates, torch.inf)

    @property
    def shortest(self) -> float:
        """The least horizon, steps."""
        return float(self.horizons.min())

    @property
    def median(self) -> float:
        """The median horizon, steps."""
        return float(self.horizons.median())

    @property
    def longest(self) -> float:
        """The greatest horizon, steps."""
        return float(self.horizons.max())

    @property
    def reach(self) -> float:
        """The steps after which the head that remembers longest has a thousandth left."""
        return _THOUSANDTH * self.longest

    def share_within(self, steps: float) -> float:
        """The share of heads whose horizon is below so many steps."""
        return float((self.horizons < steps).double().mean())
