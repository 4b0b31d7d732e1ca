"""The gates of the LSTM and its variants, and the derivatives of c and h by them.

c_t = f c_{t-1} + i g          h_t = o tanh(c_t)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.activations import sigmoid_slope, tanh_slope


@dataclass(frozen=True)
class Form:
    """Which gates an LSTM has, and where it applies tanh.

    Attributes:
        names: the gates that have weights, out of i, f, g, o in this order; others are 1.
        coupled: whether f is 1 - i.
        linear_input: whether g is used without tanh.
        linear_output: whether c is used without tanh in h.
    """

    names: tuple[str, ...] = ("i", "f", "g", "o")
    coupled: bool = False
    linear_input: bool = False
    linear_output: bool = False

    def gates(self, u: dict[str, Tensor], c_prev: Tensor) -> Gates:
        """The gates from the preactivations u, where o sees nothing of c_t."""
        i, f = self._open(u, "i", c_prev), self._open(u, "f", c_prev)
        f = torch.sigmoid(-u["i"]) if self.coupled else f
        g = u["g"] if self.linear_input else torch.tanh(u["g"])
        c = f * c_prev + i * g
        squashed_c = c if self.linear_output else torch.tanh(c)
        return Gates(i, f, g, self._open(u, "o", c_prev), c, squashed_c)

    def _open(self, u: dict[str, Tensor], name: str, like: Tensor) -> Tensor:
        return torch.sigmoid(u[name]) if name in self.names else torch.ones_like(like)

    def split(self, u: Float[Tensor, "*batch gates"]) -> dict[str, Tensor]:
        """The preactivations by the name of the gate."""
        return dict(zip(self.names, u.chunk(len(self.names), dim=-1), strict=True))


class Gates(NamedTuple):
    """The values of the gates, the new cell c_t, and tanh(c_t), or c_t where it is linear."""

    i: Float[Tensor, "*batch h"]
    f: Float[Tensor, "*batch h"]
    g: Float[Tensor, "*batch h"]
    o: Float[Tensor, "*batch h"]
    c: Float[Tensor, "*batch h"]
    squashed_c: Float[Tensor, "*batch h"]

    def by_gate(self, form: Form, u: dict[str, Tensor], c_prev: Tensor) -> dict[str, Tensor]:
        """dc/du of i, f and g, and dh/du of o, with u the preactivations of the gates there are."""
        factors = factor_of_slope(form, self.i, self.g, c_prev, self.squashed_c)
        values = {"i": self.i, "f": self.f, "o": self.o}
        slopes = {
            name: factors[name] * sigmoid_slope(u[name], value)
            for name, value in values.items()
            if name in form.names
        }
        linear = factors["g"] if form.linear_input else factors["g"] * tanh_slope(u["g"], self.g)
        return {**slopes, "g": linear}

    def h_by_c(self, form: Form) -> Tensor:
        """dh/dc = o tanh'(c)."""
        return self.o if form.linear_output else self.o * tanh_slope(self.c, self.squashed_c)


def factor_of_slope(
    form: Form, i: Tensor, g: Tensor, c_prev: Tensor, squashed_c: Tensor
) -> dict[str, Tensor]:
    """dc/di = g, dc/df = c_{t-1}, dc/dg = i and dh/do = tanh(c).

    Where f = 1 - i, dc/di is g - c_{t-1}.
    """
    return {"i": g - c_prev if form.coupled else g, "f": c_prev, "g": i, "o": squashed_c}
