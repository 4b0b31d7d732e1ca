"""The gates of an LSTM, and how c and h move with them.

c_t = f c_{t-1} + i g          h_t = o tanh(c_t)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Form:
    """What an LSTM has of the gates, and what it squashes.

    Attributes:
        names: the gates that it has weights for, out of i, f, g, o in this order.
        coupled: whether f = 1 - i; a gate without weights is 1 otherwise.
        linear_input: whether g is not squashed.
        linear_output: whether c is not squashed on its way to h.
    """

    names: tuple[str, ...] = ("i", "f", "g", "o")
    coupled: bool = False
    linear_input: bool = False
    linear_output: bool = False

    def gates(self, u: dict[str, Tensor], c_prev: Tensor) -> Gates:
        """From the preactivations of i, f and g, and of o where it sees nothing of c_t."""
        i, f = self._open(u, "i", c_prev), self._open(u, "f", c_prev)
        f = 1 - i if self.coupled else f
        g = u["g"] if self.linear_input else torch.tanh(u["g"])
        c = f * c_prev + i * g
        shown = c if self.linear_output else torch.tanh(c)
        return Gates(i, f, g, self._open(u, "o", c_prev), c, shown)

    def _open(self, u: dict[str, Tensor], name: str, like: Tensor) -> Tensor:
        return torch.sigmoid(u[name]) if name in self.names else torch.ones_like(like)

    def split(self, u: Float[Tensor, "*batch gates"]) -> dict[str, Tensor]:
        """Preactivations by the gate's name."""
        return dict(zip(self.names, u.chunk(len(self.names), dim=-1), strict=True))


class Gates(NamedTuple):
    """The gates' values, the new cell c_t, and what of it is shown: tanh(c_t)."""

    i: Float[Tensor, "*batch h"]
    f: Float[Tensor, "*batch h"]
    g: Float[Tensor, "*batch h"]
    o: Float[Tensor, "*batch h"]
    c: Float[Tensor, "*batch h"]
    shown: Float[Tensor, "*batch h"]

    def by_gate(self, form: Form, c_prev: Tensor) -> dict[str, Tensor]:
        """dc/du of i, f and g, and dh/du of o, for preactivations u."""
        factors = factor_of_slope(form, self.i, self.g, c_prev, self.shown)
        slopes = {
            name: factors[name] * value * (1 - value)
            for name, value in (("i", self.i), ("f", self.f), ("o", self.o))
        }
        linear = factors["g"] if form.linear_input else factors["g"] * (1 - self.g * self.g)
        return {**slopes, "g": linear}

    def shown_by_cell(self, form: Form) -> Tensor:
        """dh/dc = o tanh'(c)."""
        return self.o if form.linear_output else self.o * (1 - self.shown * self.shown)


def factor_of_slope(
    form: Form, i: Tensor, g: Tensor, c_prev: Tensor, shown: Tensor
) -> dict[str, Tensor]:
    """How c moves with i, f and g, and h with o: g, c_{t-1}, i and tanh(c).

    Where f is tied to i, as 1 - i, c moves with i by g - c_{t-1}.
    """
    return {"i": g - c_prev if form.coupled else g, "f": c_prev, "g": i, "o": shown}
