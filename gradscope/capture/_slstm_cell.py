"""SlstmCell: the scalar memory of xLSTM."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from gradscope.cells import Cell
from gradscope.dynamics.activations import ACTIVATIONS, Gate, sigmoid_slope, tanh_slope
from gradscope.errors import GradscopeError


class Weights(Protocol):
    """What a package's cell gives of its weights, whatever their layout within it."""

    _recurrent_kernel: Tensor
    _bias: Tensor

    def _recurrent_kernel_int2ext(self, recurrent_kernel_int: Tensor) -> Tensor: ...

    def _bias_int2ext(self, bias_int: Tensor) -> Tensor: ...


class _Step(NamedTuple):
    """Preactivations of the forget, candidate and output gate; what is kept, and written."""

    f: Tensor
    g: Tensor
    o: Tensor
    kept: Tensor
    written: Tensor


class SlstmCell(Cell):
    """xLSTM's scalar memory, in the units of its stabiliser.

        i, f, g, o = x_t + R h_{t-1} + b, R block-diagonal by heads
        c_t = sigmoid(f) c_{t-1} + e^i tanh(g)      n_t = sigmoid(f) n_{t-1} + e^i
        h_t = sigmoid(o) c_t / n_t

    State s = [h, c, n], with c and n over e^m_t, m_t = max(i, m_{t-1} + ln sigmoid(f)), so that the
    gates are sigmoid(f) e^(m_{t-1} - m_t) and e^(i - m_t). The stabiliser m is a unit and no
    memory: (a c, a n, m - ln a) is the same state for all a > 0, so that no loss feels it alone,
    and with it in the state a product of Jacobians would keep that direction for ever. It is
    therefore held at its recorded values. dL/dh, dL/dc and dL/dn are those of autograd through all
    four, in which the paths through m add up to zero. A memory that is empty, n = 0, has the unit
    of the step that first writes it.

    The input is [i - m_t, f, g, o, m_{t-1} - m_t] without R h + b; no gradient goes to its last
    part.

    Args:
        module: the package's cell, whose weights are used.
        heads: number of blocks of R.
        size: number of units.

    Reference: Beck et al. (2024), xLSTM: extended long short-term memory.
    """

    state_blocks = ("h", "c", "n")
    gate_names = ("i", "f", "g", "o")

    def __init__(self, module: nn.Module, heads: int, size: int):
        super().__init__(5 * size, size)
        self.module, self.heads = module, heads

    def _weights(self) -> tuple[Float[Tensor, "head h gate out"], Float[Tensor, " gates"]]:
        held: Weights = self.module  # pyright: ignore[reportAssignmentType]
        recurrent = held._recurrent_kernel_int2ext(held._recurrent_kernel)
        return recurrent, held._bias_int2ext(held._bias).transpose(0, 1).flatten()

    def preactivations(
        self, x: Float[Tensor, "*batch gates"], h: Float[Tensor, "*batch hidden"]
    ) -> tuple[Tensor, ...]:
        """x + R h + b of i, f, g and o."""
        recurrent, bias = self._weights()
        by_head = h.unflatten(-1, (self.heads, -1))
        through = torch.einsum("...ni,nigo->...gno", by_head, recurrent).flatten(-3)
        return (x + through + bias).chunk(4, dim=-1)

    def _step(self, x: Tensor, h: Tensor) -> _Step:
        gates, drift = x.split((4 * self.hidden_size, self.hidden_size), dim=-1)
        i, f, g, o = self.preactivations(gates, h)
        return _Step(f, g, o, (F.logsigmoid(f) + drift.detach()).exp(), i.exp())

    def forward(
        self, x: Float[Tensor, "*batch input"], s: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """One step."""
        h, c, n = s.chunk(3, dim=-1)
        step = self._step(x, h)
        c = step.kept * c + step.written * torch.tanh(step.g)
        n = step.kept * n + step.written
        return torch.cat((torch.sigmoid(step.o) * c / n, c, n), dim=-1)

    @torch.no_grad()
    def jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state state"]:
        """With k = sigmoid(f) e^(m_{t-1} - m_t), w = e^(i - m_t) and R the blocks by gate:

        dc/dh = diag(w tanh(g)) R_i + diag(k sigmoid(-f) c_{t-1}) R_f + diag(w tanh'(g)) R_g
        dn/dh = diag(w) R_i + diag(k sigmoid(-f) n_{t-1}) R_f        dc/dc = dn/dn = diag(k)
        dh = diag(sigmoid(o) / n) dc - diag(h / n) dn + diag(sigmoid'(o) c / n) R_o dh
        """
        h_prev, c_prev, n_prev = s_prev.chunk(3, dim=-1)
        h, c, n = s.chunk(3, dim=-1)
        step, by = self._step(x, h_prev), self.recurrent_matrices()
        o, g = torch.sigmoid(step.o), torch.tanh(step.g)
        forgotten = step.kept * torch.sigmoid(-step.f)

        def onto(diagonal: Tensor, gate: str) -> Tensor:
            return diagonal.unsqueeze(-1) * by[gate]

        c_by_h = onto(step.written * g, "i") + onto(forgotten * c_prev, "f")
        c_by_h = c_by_h + onto(step.written * tanh_slope(step.g, g), "g")
        n_by_h = onto(step.written, "i") + onto(forgotten * n_prev, "f")
        by_c, by_n = o / n, -h / n
        h_by_h = by_c.unsqueeze(-1) * c_by_h + by_n.unsqueeze(-1) * n_by_h
        h_by_h = h_by_h + onto(sigmoid_slope(step.o, o) * c / n, "o")
        kept, none = torch.diag_embed(step.kept), torch.zeros_like(c_by_h)
        shown = (torch.diag_embed(part * step.kept) for part in (by_c, by_n))
        rows = ((h_by_h, *shown), (c_by_h, kept, none), (n_by_h, none, kept))
        return torch.cat([torch.cat(row, dim=-1) for row in rows], dim=-2)

    def gates(
        self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Gate]:
        """Forget gate, candidate and output gate; the input gate is e^i, which never flattens."""
        step = self._step(x, s_prev[..., : self.hidden_size])
        sigmoid, tanh = ACTIVATIONS["sigmoid"], ACTIVATIONS["tanh"]
        return {"f": Gate(sigmoid, step.f), "g": Gate(tanh, step.g), "o": Gate(sigmoid, step.o)}

    def recurrent_matrices(self) -> dict[str, Float[Tensor, "hidden hidden"]]:
        """R by gate, block-diagonal."""
        recurrent = self._weights()[0].detach()
        return {
            gate: torch.block_diag(*recurrent[:, :, index].mT)
            for index, gate in enumerate(self.gate_names)
        }

    def initial_state(self, batch_size: int) -> Float[Tensor, "batch state"]:
        """s_0 = 0, an empty memory."""
        return next(self.parameters()).new_zeros(batch_size, self.state_size)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """The weights are the module's: they cannot be drawn anew."""
        raise GradscopeError("the weights are the attached module's")


class Run(NamedTuple):
    """The recurrence, run.

    Attributes:
        inputs: of the cell.
        states: [h, c, n], s_0 ... s_T.
    """

    inputs: Float[Tensor, "time batch input"]
    states: Float[Tensor, "times batch state"]


@torch.no_grad()
def run(
    cell: SlstmCell,
    x: Float[Tensor, "time batch gates"],
    start: Float[Tensor, "four batch hidden"] | None,
) -> Run:
    """Run it with the stabiliser that the package has: its units are those of the state.

    Args:
        cell: whose weights are used.
        x: what is added to R h + b.
        start: h, c, n and m of s_0; None is zero.
    """
    size = cell.hidden_size
    h, c, n, m = x.new_zeros(4, x.shape[1], size) if start is None else start.to(x)
    inputs, states = [], [torch.cat((h, c, n), dim=-1)]
    for given in x:
        i, f, _, _ = cell.preactivations(given, h)
        moved = m + F.logsigmoid(f)
        unit = i if bool((n == 0).all()) else torch.maximum(i, moved)
        drift = torch.where(n == 0, torch.zeros_like(m), m - unit)
        inputs.append(torch.cat((given[:, :size] - unit, given[:, size:], drift), dim=-1))
        states.append(cell(inputs[-1], states[-1]))
        (h, c, n), m = states[-1].chunk(3, dim=-1), unit
    return Run(torch.stack(inputs), torch.stack(states))
