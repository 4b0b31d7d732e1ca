"""The forward and backward pass of an LSTM without peepholes, computed in place.

    forward    c_t = f c_{t-1} + i g                   h_t = o tanh(c_t)
    backward   dc = a_t[c] + a_t[h] o tanh'(c_t)
               d_i = dc g i'    d_f = dc c_{t-1} f'    d_g = dc i g'    d_o = a_t[h] tanh(c_t) o'
               a_{t-1}[c] += f dc                      a_{t-1}[h] += d W_hh

The gates overwrite their preactivations and the deltas d overwrite the slopes. Whatever does not
depend on the step before is computed for many steps at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.cells._lstm_gates import Form, Gates, factor_of_slope
from gradscope.cells._products import add_product
from gradscope.dynamics.activations import is_near_one

_sigmoid_slope = torch.ops.aten.sigmoid_backward.grad_input
_tanh_slope = torch.ops.aten.tanh_backward.grad_input


class GateBuffers:
    """The gates of many steps in one buffer, and tanh(c) of these steps in another.

    Shapes: values ``(time, batch, gates * hidden)``, squashed_c ``(time, batch, hidden)``.

    Args:
        form: which gates there are.
        values: the preactivations, which ``activate`` turns into gates.
        squashed_c: tanh(c), or room for it.
        parts: ``values`` by gate, where it has been split already.
    """

    def __init__(
        self,
        form: Form,
        values: Tensor,
        squashed_c: Tensor,
        parts: tuple[Tensor, ...] | None = None,
    ):
        self.form, self.values, self.squashed_c = form, values, squashed_c
        split = values.split(squashed_c.shape[-1], dim=-1) if parts is None else parts
        self._by_name = dict(zip(form.names, split, strict=True))

    @classmethod
    def of(cls, form: Form, u: Tensor, c: Tensor) -> GateBuffers:
        """The gates from preactivations, which are copied, and c_t."""
        gates = cls(form, u.clone(), c if form.linear_output else torch.tanh(c))
        gates.activate()
        return gates

    def activate(self) -> None:
        """Turn the preactivations into gates."""
        for name, part in self._by_name.items():
            if name != "g":
                part.sigmoid_()
            elif not self.form.linear_input:
                part.tanh_()

    def squash(self, c: Tensor) -> None:
        """Set tanh(c) from c."""
        if self.form.linear_output:
            self.squashed_c.copy_(c)
        else:
            torch.tanh(c, out=self.squashed_c)

    def at(self, steps: slice) -> GateBuffers:
        """Views of these steps."""
        return GateBuffers(self.form, self.values[steps], self.squashed_c[steps])

    def by_step(self) -> Iterator[GateBuffers]:
        """Views of each single step."""
        rows = (part.unbind(0) for part in (self.values, self.squashed_c, *self._by_name.values()))
        for values, squashed_c, *parts in zip(*rows, strict=True):
            yield GateBuffers(self.form, values, squashed_c, tuple(parts))

    def __getitem__(self, name: str) -> Tensor:
        """A gate by name; 1 for one that the form leaves out."""
        if name in self._by_name:
            return self._by_name[name]
        return 1 - self._by_name["i"] if self.form.coupled else torch.ones_like(self.squashed_c)

    def saturated(self) -> bool:
        """Whether a gate, or tanh(c), is so near 1 that its slope has to come from what it gets."""
        return any(is_near_one(values) for values in (self.values, self.squashed_c))

    def slopes(self, c_prev: Tensor, u: Tensor | None, c: Tensor) -> tuple[Tensor, Tensor]:
        """(dc/du of i, f, g and dh/du of o, side by side; dh/dc).

        Args:
            c_prev: c_{t-1}.
            u: the preactivations, where gates are saturated.
            c: c_t.
        """
        if u is not None:
            return self._exact_slopes(c_prev, u, c)
        values = {name: self[name] for name in "ifgo"}
        factors = factor_of_slope(self.form, values["i"], values["g"], c_prev, self.squashed_c)
        slopes = torch.empty_like(self.values)
        parts = slopes.split(self.squashed_c.shape[-1], dim=-1)
        for name, slope in zip(self.form.names, parts, strict=True):
            if name != "g":
                _sigmoid_slope(factors[name], values[name], grad_input=slope)
            elif self.form.linear_input:
                slope.copy_(factors["g"])
            else:
                _tanh_slope(factors["g"], values["g"], grad_input=slope)
        if self.form.linear_output:
            return slopes, values["o"]
        return slopes, torch.ops.aten.tanh_backward(values["o"], self.squashed_c)

    def _exact_slopes(self, c_prev: Tensor, u: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        values, by_name = {name: self[name] for name in "ifgo"}, self.form.split(u)
        gates = Gates(**values, c=c, squashed_c=self.squashed_c)
        by_gate = gates.by_gate(self.form, by_name, c_prev)
        slopes = torch.cat([by_gate[name] for name in self.form.names], dim=-1)
        return slopes, gates.h_by_c(self.form)


def scan(gates: GateBuffers, states: Float[Tensor, "times batch state"], weight_hh: Tensor) -> None:
    """Run the steps: ``gates`` holds W_ih x_t + b, ``states`` s_0 and room for the others."""
    weight = weight_hh.t()
    h, c = (part.unbind(0) for part in states.split(gates.squashed_c.shape[-1], dim=-1))
    for t, step in enumerate(gates.by_step()):
        step.values.addmm_(h[t], weight)
        step.activate()
        torch.mul(step["i"], step["g"], out=c[t + 1])
        c[t + 1].addcmul_(step["f"], c[t])
        step.squash(c[t + 1])
        torch.mul(step["o"], step.squashed_c, out=h[t + 1])


def scan_along(
    gates: GateBuffers, states: Float[Tensor, "times batch state"], weight_hh: Tensor
) -> None:
    """As ``scan``, with all h in ``states`` known: only c is computed step by step."""
    h, c = states.split(gates.squashed_c.shape[-1], dim=-1)
    gates.values.flatten(0, 1).addmm_(h[:-1].flatten(0, 1), weight_hh.t())
    gates.activate()
    torch.mul(gates["i"], gates["g"], out=c[1:])
    for f, before, after in zip(
        gates["f"].unbind(0), c[:-1].unbind(0), c[1:].unbind(0), strict=True
    ):
        after.addcmul_(f, before)
    gates.squash(c[1:])


@torch.no_grad()
def backpropagate(
    gates: GateBuffers,
    c: Float[Tensor, "times *batch hidden"],
    adjoints: Float[Tensor, "times *batch state"],
    weight_hh: Float[Tensor, "*trial gates hidden"],
    u: Callable[[], Tensor],
) -> Float[Tensor, "times-1 *batch gates"]:
    """Turn ``adjoints`` from dl_t/ds_t into a_t in place; return the deltas dL/du.

    Args:
        gates: of the steps.
        c: the cell before the first step and after each.
        adjoints: likewise of the state.
        weight_hh: the recurrent matrix.
        u: gives the preactivations, which are needed where gates are saturated.
    """
    size, names = gates.squashed_c.shape[-1], gates.form.names
    deltas, h_by_c = gates.slopes(c[:-1], u() if gates.saturated() else None, c[1:])
    onto_c = len(names) - ("o" in names)
    by_c = deltas[..., : onto_c * size].unflatten(-1, (onto_c, size)).unbind(0)
    by_h = deltas[..., onto_c * size :].unbind(0)
    forget, all_deltas, outward = gates["f"].unbind(0), deltas.unbind(0), h_by_c.unbind(0)
    a_h, a_c = (part.unbind(0) for part in adjoints.split(size, dim=-1))
    for t in range(len(deltas) - 1, -1, -1):
        d_c = torch.addcmul(a_c[t + 1], a_h[t + 1], outward[t])
        by_c[t].mul_(d_c.unsqueeze(-2))
        if "o" in names:
            by_h[t].mul_(a_h[t + 1])
        a_c[t].addcmul_(d_c, forget[t])
        add_product(a_h[t], all_deltas[t], weight_hh)
    return deltas
