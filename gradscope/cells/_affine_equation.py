"""The equation of cells whose gates are affine in input and hidden state.

    u_x = W_ih x_t + b_ih      u_h = W_hh h_{t-1} + b_hh      s_t = combine(u_x, u_h, s_{t-1})

``combine`` works unit by unit, so its derivatives are diagonal, and everything else about such a
cell follows from them in closed form, once for all cells (``_affine``).

Short axis names: n state blocks, g gates, h hidden units, k vectors.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.cells._gated import GatedCell, affine
from gradscope.cells._products import add_product, driven, product, room

#: elements of the gate derivatives made at a time, about a megabyte in float32
_CACHED = 2**18
#: steps of a part at least
_STEPS = 4


class Derivatives(NamedTuple):
    """The diagonal derivatives of ``combine``.

    Attributes:
        by_input: ds[n]/du_x[g].
        by_recurrent: ds[n]/du_h[g].
        by_state: ds_t[n]/ds_{t-1}[m] with u_x and u_h held fixed; None where it is zero.
    """

    by_input: Float[Tensor, "*batch n g h"]
    by_recurrent: Float[Tensor, "*batch n g h"]
    by_state: Float[Tensor, "*batch n n h"] | None

    def at(self, steps: slice) -> Derivatives:
        """Views of some of the steps."""
        by_state = None if self.by_state is None else self.by_state[steps]
        return Derivatives(self.by_input[steps], self.by_recurrent[steps], by_state)


class AffineEquation(GatedCell):
    """The equation of a cell with affine gates, and its diagonal derivatives.

    Parameters have torch's names, shapes and gate order. A subclass may compute its recurrent
    matrix from its parameters (``recurrent_weight``); everything else uses that matrix, and
    autograd carries its gradient on to the parameters.
    """

    #: whether combine depends on the sum u_x + u_h alone
    additive: ClassVar[bool]
    #: names of parameters ``(hidden)`` that combine uses unit by unit
    vectors: tuple[str, ...] = ()
    #: whether ``recurrent_weight`` is computed from the parameters rather than being one of them
    derived: ClassVar[bool] = False

    @abstractmethod
    def combine(
        self,
        u_x: Float[Tensor, "*batch gates"],
        u_h: Float[Tensor, "*batch gates"] | None,
        s_prev: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state"]:
        """s_t from the preactivations of the gates; an additive cell gets u_x + u_h and None."""

    def advance(
        self,
        u_x: Float[Tensor, "*batch gates"],
        u_h: Float[Tensor, "*batch gates"] | None,
        s_prev: Float[Tensor, "*batch state"],
        out: Float[Tensor, "*batch state"],
    ) -> None:
        """Write s_t into ``out``, outside autograd; it is ``combine`` unless a cell has less work.

        What u_x and u_h hold must stay.
        """
        out.copy_(self.combine(u_x, u_h, s_prev))

    @abstractmethod
    def derivatives(
        self,
        u_x: Float[Tensor, "*batch gates"],
        u_h: Float[Tensor, "*batch gates"] | None,
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Derivatives:
        """The diagonal derivatives of ``combine`` at these steps."""

    def by_vectors(
        self,
        u_x: Float[Tensor, "*batch gates"],
        u_h: Float[Tensor, "*batch gates"] | None,
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch n vectors h"]:
        """ds[n]/d(vector k), for cells that have ``vectors``."""
        raise NotImplementedError

    def forward(
        self, x: Float[Tensor, "*batch input"], s: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """One step: s_t from x_t and s_{t-1}."""
        return self.combine(*self.preactivations(x, s), s)

    # --- preactivations -------------------------------------------------------------------------

    def preactivations(
        self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]
    ) -> tuple[Float[Tensor, "*batch gates"], Float[Tensor, "*batch gates"] | None]:
        """(u_x, u_h) of any number of steps at once; (u_x + u_h, None) for an additive cell."""
        u_x = affine(x, self.weight_ih, self.bias_ih)
        if not self.recurrent:
            return u_x, None
        u_h = affine(self.hidden(s_prev), self.recurrent_weight(), self.bias_hh)
        return (u_x + u_h, None) if self.additive else (u_x, u_h)

    def known_beforehand(
        self, inputs: Float[Tensor, "time *batch input"]
    ) -> Float[Tensor, "time *batch gates"]:
        """The part of an additive cell's preactivations that needs no state: W_ih x_t + biases."""
        return affine(inputs, self.weight_ih, self._bias())

    def recurrent_weight(self) -> Float[Tensor, "*trial gates hidden"]:
        """The matrix that multiplies h_{t-1}.

        It is weight_hh unless a subclass computes it, and zero for a cell without recurrent
        weights.
        """
        if self.weight_hh is None:
            return self.weight_ih.new_zeros(*self.weight_ih.shape[:-1], self.hidden_size)
        return self.weight_hh

    def recurrent_matrices(self) -> dict[str, Float[Tensor, "hidden hidden"]]:
        """The blocks of ``recurrent_weight`` by gate."""
        if not self.recurrent and not self.derived:
            return {}
        blocks = self.recurrent_weight().detach().split(self.hidden_size, dim=-2)
        return dict(zip(self.gate_names, blocks, strict=True))

    # --- many steps -----------------------------------------------------------------------------

    def cached_steps(self, steps: int, *batch: int) -> list[slice]:
        """The steps in parts whose derivatives fit a processor's cache, latest first.

        A part has several steps, however large they are, as weights' gradients add up over a part.
        """
        gates = len(self.gate_names) * self.hidden_size
        length = max(_STEPS, _CACHED // (math.prod(batch) * gates))
        return [slice(max(0, stop - length), stop) for stop in range(steps, 0, -length)]

    def scan_gates(
        self,
        inputs: Float[Tensor, "time *batch input"],
        state: Float[Tensor, "*batch state"],
        weight_hh: Float[Tensor, "*trial gates hidden"],
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """(states, u_x, u_h) over all steps, for callers that do not need autograd.

        For an additive cell u_x is summed up in place, in the buffer of W_ih x_t.
        """
        weight = weight_hh.mT
        states = room(state, len(inputs) + 1, state.shape[:-1], state.shape[-1])
        states[0] = state
        each = states.unbind(0)
        if self.additive:
            u_x, by_step = self.inputs_of_gates(inputs, self._bias())
            for u, before, after in zip(by_step, each[:-1], each[1:], strict=True):
                if self.recurrent:
                    add_product(u, self.hidden(before), weight)
                self.advance(u, None, before, after)
            return states, u_x, None
        u_x, by_step = self.inputs_of_gates(inputs, self.bias_ih)
        u_h = torch.empty_like(u_x)
        for u, v, before, after in zip(by_step, u_h.unbind(0), each[:-1], each[1:], strict=True):
            product(self.hidden(before), weight, self.bias_hh, v)
            self.advance(u, v, before, after)
        return states, u_x, u_h

    def scan_keeping(
        self,
        inputs: Float[Tensor, "time *batch input"],
        state: Float[Tensor, "*batch state"],
        weight_hh: Float[Tensor, "*trial gates hidden"],
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """(states, what ``backpropagate_kept`` needs of each step) over all steps."""
        states, *kept = self.scan_gates(inputs, state, weight_hh)
        return states, tuple(part for part in kept if part is not None)

    def backpropagate_kept(
        self,
        kept: tuple[Tensor, ...],
        s_prev: Float[Tensor, "time *batch state"],
        s: Float[Tensor, "time *batch state"],
        adjoints: Float[Tensor, "time+1 *batch state"],
        weight_hh: Float[Tensor, "*trial gates hidden"],
    ) -> tuple[Float[Tensor, "time *batch gates"], Float[Tensor, "time *batch gates"]]:
        """``backpropagate``, of steps of which a scan has kept this."""
        u_x, u_h = kept if len(kept) > 1 else (*kept, None)
        return self.backpropagate(u_x, u_h, s_prev, s, adjoints, weight_hh)

    def inputs_of_gates(
        self, inputs: Tensor, bias: Tensor | None
    ) -> tuple[Tensor, Iterable[Tensor]]:
        """W_ih x_t + b: of all steps, and step by step."""
        if self.weight_ih.dim() > 2:
            return driven(inputs, self.weight_ih.mT, bias)
        u_x = affine(inputs, self.weight_ih, bias)
        return u_x, u_x.unbind(0)

    def _bias(self) -> Tensor | None:
        """The sum of the biases."""
        one, other = self.bias_ih, self.bias_hh
        return one if one is None or other is None else one + other

    def backpropagate(
        self,
        u_x: Float[Tensor, "time *batch gates"],
        u_h: Float[Tensor, "time *batch gates"] | None,
        s_prev: Float[Tensor, "time *batch state"],
        s: Float[Tensor, "time *batch state"],
        adjoints: Float[Tensor, "time+1 *batch state"],
        weight_hh: Float[Tensor, "*trial gates hidden"],
    ) -> tuple[Float[Tensor, "time *batch gates"], Float[Tensor, "time *batch gates"]]:
        """Turn ``adjoints`` from dl_t/ds_t into a_t in place; return (dL/du_h, dL/du_x).

            dL/du_h[g] = sum_n a_t[n] by_recurrent[n g]
            a_{t-1}[m] = dl[m] + sum_n a_t[n] by_state[n m] + [m = h] dL/du_h W_hh

        This uses the diagonal derivatives; a cell whose derivatives have more structure may
        override it with less work.
        """
        local = self.derivatives(u_x, u_h, s_prev, s)
        *lead, blocks, gates, size = local.by_recurrent.shape
        d_h = room(adjoints, lead[0], lead[1:], gates * size)
        # for each block a_t[n], and its factors for all gates side by side; a product with a tiled
        # copy is faster than one that broadcasts over gates
        parts = [part.unbind(0) for part in adjoints.split(size, dim=-1)]
        factors = [factor.flatten(-2).unbind(0) for factor in local.by_recurrent.unbind(-3)]
        carried = local.by_state.unbind(0) if local.by_state is not None else None
        by_block = adjoints.unflatten(-1, (blocks, 1, size)).unbind(0)
        hidden, deltas = parts[0], d_h.unbind(0)
        for t in range(len(deltas) - 1, -1, -1):
            for n in range(blocks):
                tiled = (
                    torch.cat((parts[n][t + 1],) * gates, dim=-1) if gates > 1 else parts[n][t + 1]
                )
                if n == 0:
                    torch.mul(tiled, factors[n][t], out=deltas[t])
                else:
                    deltas[t].addcmul_(tiled, factors[n][t])
            if carried is not None and blocks == 1:
                hidden[t].addcmul_(hidden[t + 1], carried[t][..., 0, 0, :])
            elif carried is not None:
                by_block[t].squeeze(-2).add_((by_block[t + 1] * carried[t]).sum(-3))
            if self.recurrent:
                add_product(hidden[t], deltas[t], weight_hh)
        return d_h, d_h if self.additive else onto_gates(adjoints[1:], local.by_input)


def onto_gates(
    cotangent: Float[Tensor, "*any state"], diagonals: Float[Tensor, "*batch n g h"]
) -> Float[Tensor, "*any gates"]:
    """sum_n cotangent[n] diagonals[n, g], with the gates side by side.

    The cotangent is tiled over the gates first, since a product that broadcasts over a middle axis
    is several times slower.
    """
    blocks, gates, _ = diagonals.shape[-3:]
    total: Tensor | None = None
    for n, part in enumerate(cotangent.chunk(blocks, dim=-1)):
        tiled = torch.cat((part,) * gates, dim=-1) if gates > 1 else part
        term = tiled * diagonals[..., n, :, :].flatten(-2)
        total = term if total is None else total.add_(term)
    assert total is not None
    return total


def onto_vectors(
    cotangent: Float[Tensor, "time *batch state"], derivatives: Float[Tensor, "time *batch n k h"]
) -> Float[Tensor, "*trial k h"]:
    """The sum over steps, batch and blocks of a[n] ds[n]/d(vector k)."""
    blocks, _, size = derivatives.shape[-3:]
    terms = cotangent.unflatten(-1, (blocks, 1, size)) * derivatives
    return terms.sum((0, -4, -3))
