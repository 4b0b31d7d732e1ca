"""Both passes of an LSTM without peepholes, in place: the gates overwrite their preactivations, the
deltas their slopes.

    forward      c_t = f c_{t-1} + i g          h_t = o tanh(c_t)
    backward     dc = a_t[c] + a_t[h] o tanh'(c_t)
                 d_i = dc g i'    d_f = dc c_{t-1} f'    d_g = dc i g'    d_o = a_t[h] tanh(c_t) o'
                 a_{t-1}[c] += f dc    a_{t-1}[h] += d W_hh

What does not depend on the step before is done for a stretch of steps at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.cells._affine import AffineLinearisation

if TYPE_CHECKING:
    from gradscope.cells.lstm import LSTM

_sigmoid_slope = torch.ops.aten.sigmoid_backward.grad_input
_tanh_slope = torch.ops.aten.tanh_backward.grad_input


class Gates:
    """What the forward pass leaves: the gates side by side ``(T, B, G * H)``, and tanh(c) ``(T, B,
    H)``.
    """

    def __init__(
        self, cell: LSTM, values: Tensor, squashed: Tensor, parts: tuple[Tensor, ...] | None = None
    ):
        self.cell, self.values, self.squashed = cell, values, squashed
        found = values.split(cell.hidden_size, dim=-1) if parts is None else parts
        self._by_name = dict(zip(cell.gate_names, found, strict=True))

    @classmethod
    def of(cls, cell: LSTM, u: Tensor, c: Tensor) -> Gates:
        """From preactivations, which are left as they are, and c_t."""
        found = cls(cell, u.clone(), c if cell.linear_output else torch.tanh(c))
        found.activate()
        return found

    def activate(self) -> None:
        """Preactivations become gates."""
        for name, part in self._by_name.items():
            if name != "g":
                part.sigmoid_()
            elif not self.cell.linear_input:
                part.tanh_()

    def at(self, steps: slice) -> Gates:
        """Views of these steps."""
        return Gates(self.cell, self.values[steps], self.squashed[steps])

    def by_step(self) -> Iterator[Gates]:
        """Views of each step by itself."""
        rows = (part.unbind(0) for part in (self.values, self.squashed, *self._by_name.values()))
        for values, squashed, *parts in zip(*rows, strict=True):
            yield Gates(self.cell, values, squashed, tuple(parts))

    def __getitem__(self, name: str) -> Tensor:
        """A gate; 1 for one that is left out."""
        if name in self._by_name:
            return self._by_name[name]
        return (
            1 - self._by_name["i"]
            if self.cell.variant == "cifg"
            else torch.ones_like(self.squashed)
        )

    def slopes(self, c_prev: Tensor) -> tuple[Tensor, Tensor]:
        """(dc/du of i, f and g and dh/du of o side by side, dh/dc)."""
        i, f, g, o = (self[name] for name in "ifgo")
        found = torch.empty_like(self.values)
        for name, slope in zip(
            self.cell.gate_names, found.split(self.cell.hidden_size, dim=-1), strict=True
        ):
            if name == "i":
                _sigmoid_slope(
                    g - c_prev if self.cell.variant == "cifg" else g, i, grad_input=slope
                )
            elif name == "f":
                _sigmoid_slope(c_prev, f, grad_input=slope)
            elif name == "o":
                _sigmoid_slope(self.squashed, o, grad_input=slope)
            elif self.cell.linear_input:
                slope.copy_(i)
            else:
                _tanh_slope(i, g, grad_input=slope)
        return found, (
            o if self.cell.linear_output else torch.ops.aten.tanh_backward(o, self.squashed)
        )


@torch.no_grad()
def forward(
    cell: LSTM,
    inputs: Float[Tensor, "time batch input"],
    state: Float[Tensor, "batch state"],
    hidden: Float[Tensor, "time batch hidden"] | None,
) -> tuple[Float[Tensor, "time+1 batch state"], Gates]:
    """All states and gates; along known h_1 ... h_T where they are given."""
    size = cell.hidden_size
    states = state.new_empty(len(inputs) + 1, *state.shape)
    states[0] = state
    gates = Gates(cell, cell.by_inputs(inputs), states.new_empty(*inputs.shape[:2], size))
    if hidden is None:
        _free(gates, states)
    else:
        states[1:, :, :size] = hidden
        for part in reversed(cell.stretches(*inputs.shape[:2])):
            _along(gates.at(part), states[part.start : part.stop + 1])
    return states, gates


def _free(gates: Gates, states: Tensor) -> None:
    """Step by step; ``gates`` holds what the inputs give."""
    cell, weight = gates.cell, gates.cell.recurrent_weight().t()
    h, c = (part.unbind(0) for part in states.split(cell.hidden_size, dim=-1))
    for t, own in enumerate(gates.by_step()):
        own.values.addmm_(h[t], weight)
        own.activate()
        torch.mul(own["i"], own["g"], out=c[t + 1])
        c[t + 1].addcmul_(own["f"], c[t])
        _squash(cell, c[t + 1], own.squashed)
        torch.mul(own["o"], own.squashed, out=h[t + 1])


def _along(gates: Gates, states: Tensor) -> None:
    """With h in ``states`` already: all gates at once, and only c goes step by step."""
    h, c = states.split(gates.cell.hidden_size, dim=-1)
    gates.values.flatten(0, 1).addmm_(h[:-1].flatten(0, 1), gates.cell.recurrent_weight().t())
    gates.activate()
    torch.mul(gates["i"], gates["g"], out=c[1:])
    for f, before, after in zip(
        gates["f"].unbind(0), c[:-1].unbind(0), c[1:].unbind(0), strict=True
    ):
        after.addcmul_(f, before)
    _squash(gates.cell, c[1:], gates.squashed)


def _squash(cell: LSTM, c: Tensor, out: Tensor) -> None:
    out.copy_(c) if cell.linear_output else torch.tanh(c, out=out)


@torch.no_grad()
def backward(
    gates: Gates,
    c_prev: Float[Tensor, "time batch hidden"],
    adjoints: Float[Tensor, "time+1 batch state"],
    weight_hh: Tensor,
) -> Float[Tensor, "time batch gates"]:
    """Turn dl_t/ds_t into a_t, in place; the deltas dL/du."""
    size = gates.cell.hidden_size
    deltas, shown = gates.slopes(c_prev)
    onto_c = len(gates.cell.gate_names) - ("o" in gates.cell.gate_names)
    by_c = deltas[..., : onto_c * size].unflatten(-1, (onto_c, size)).unbind(0)
    by_h = deltas[..., onto_c * size :].unbind(0)
    kept, whole, outward = gates["f"].unbind(0), deltas.unbind(0), shown.unbind(0)
    a_h, a_c = (part.unbind(0) for part in adjoints.split(size, dim=-1))
    for t in range(len(deltas) - 1, -1, -1):
        d_c = torch.addcmul(a_c[t + 1], a_h[t + 1], outward[t])
        by_c[t].mul_(d_c.unsqueeze(1))
        if "o" in gates.cell.gate_names:
            by_h[t].mul_(a_h[t + 1])
        a_c[t].addcmul_(d_c, kept[t])
        a_h[t].addmm_(whole[t], weight_hh)
    return deltas


class LSTMLinearisation(AffineLinearisation):
    """Goes back by the gates that the forward pass left; all else from the preactivations, made
    when they are asked for.
    """

    def __init__(self, gates: Gates, x: Tensor, s_prev: Tensor, s: Tensor):
        super().__init__(gates.cell, x, s_prev, s)
        self.gates = gates

    def back(
        self, adjoints: Float[Tensor, "time+1 batch state"]
    ) -> Float[Tensor, "time batch gates"]:
        """As ``AffineLinearisation.back``."""
        return backward(
            self.gates, self.s_prev[..., self.gates.cell.hidden_size :], adjoints, self.weight_hh
        )

    def views(self, steps: slice) -> LSTMLinearisation:
        """As ``AffineLinearisation.views``."""
        return LSTMLinearisation(
            self.gates.at(steps), self.x[steps], self.s_prev[steps], self.s[steps]
        )
