"""LSTMCell: what the LSTM and its variants share beside their equations."""

from __future__ import annotations

from abc import abstractmethod

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from gradscope.cells import _lstm_passes
from gradscope.cells._affine import AffineCell
from gradscope.cells._affine_equation import Derivatives
from gradscope.cells._affine_linearisation import AffineLinearisation
from gradscope.cells._cell import Forced
from gradscope.cells._gated import chrono_biases, set_gate_bias
from gradscope.cells._lstm_gates import Form
from gradscope.cells._lstm_passes import GateBuffers
from gradscope.dynamics.activations import ACTIVATIONS, Gate


class LSTMCell(AffineCell):
    """Base: the start of the biases, gates by name, and both passes in place.

    A subclass sets ``form`` before it is built, and writes its equation.
    """

    state_blocks = ("h", "c")
    additive = True
    form: Form
    forget_bias: float | None
    chrono: int | None

    @abstractmethod
    def gate_inputs(
        self, u_x: Float[Tensor, "*batch gates"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Tensor]:
        """The gates' preactivations by name."""

    @torch.no_grad()
    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw the weights and peepholes; then the biases are what forget_bias or chrono say."""
        super().reset_parameters(generator)
        size = self.hidden_size
        for name in self.vectors:
            getattr(self, name).copy_(self.init.dense(size, 1, size**-0.5, generator)[:, 0])
        if self.chrono is not None:
            drawn = chrono_biases(size, self.chrono, generator)
            set_gate_bias(self, "f", drawn)
            set_gate_bias(self, "i", -drawn)
        elif self.forget_bias is not None:
            set_gate_bias(self, "f", torch.full((size,), self.forget_bias))

    def assembled(
        self, by_gate: dict[str, Tensor], kept: Tensor, shown_by_cell: Tensor
    ) -> Derivatives:
        """From dc/du of i, f and g and dh/du of o, dc_t/dc_{t-1} and dh/dc; dh follows by dc."""
        names = self.form.names
        onto_c = torch.stack(
            [by_gate[name] if name != "o" else torch.zeros_like(kept) for name in names], dim=-2
        )
        onto_h = shown_by_cell.unsqueeze(-2) * onto_c
        if "o" in names:
            onto_h[..., names.index("o"), :] = by_gate["o"]
        zero = torch.zeros_like(kept)
        of_h, of_c = (zero, shown_by_cell * kept), (zero, kept)
        by_state = torch.stack((torch.stack(of_h, -2), torch.stack(of_c, -2)), dim=-3)
        by_gates = torch.stack((onto_h, onto_c), dim=-3)
        return Derivatives(by_gates, by_gates, by_state)

    def gates(
        self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Gate]:
        """Input, forget, candidate and output gate, as many as there are."""
        u = self.gate_inputs(self.preactivations(x, s_prev)[0], s_prev)
        candidate = ACTIVATIONS["identity" if self.form.linear_input else "tanh"]
        sigmoid = ACTIVATIONS["sigmoid"]
        return {n: Gate(candidate if n == "g" else sigmoid, u[n]) for n in self.form.names}

    def backpropagate(
        self,
        u_x: Float[Tensor, "time batch gates"],
        u_h: Float[Tensor, "time batch gates"] | None,
        s_prev: Float[Tensor, "time batch state"],
        s: Float[Tensor, "time batch state"],
        adjoints: Float[Tensor, "time+1 batch state"],
        weight_hh: Float[Tensor, "gates hidden"],
    ) -> tuple[Float[Tensor, "time batch gates"], Float[Tensor, "time batch gates"]]:
        """dc = a[c] + a[h] o tanh'(c) first, and all deltas from it; the same with less work."""
        if self.vectors:  # with peepholes gates feel c as well
            return super().backpropagate(u_x, u_h, s_prev, s, adjoints, weight_hh)
        size = self.hidden_size
        gates = GateBuffers.of(self.form, u_x, s[..., size:])
        deltas = _lstm_passes.backpropagate(gates, s_prev[..., size:], adjoints, weight_hh)
        return deltas, deltas

    @torch.no_grad()
    def teacher_forced(
        self,
        inputs: Float[Tensor, "time batch input"],
        state: Float[Tensor, "batch state"],
        hidden: Float[Tensor, "time batch hidden"] | None = None,
    ) -> Forced:
        """As ``Cell.teacher_forced``; the gates found on the way serve the way back."""
        if self.vectors:
            return super().teacher_forced(inputs, state, hidden)
        size, weight = self.hidden_size, self.recurrent_weight()
        states = state.new_empty(len(inputs) + 1, *state.shape)
        states[0] = state
        shown = states.new_empty(*inputs.shape[:2], size)
        gates = GateBuffers(self.form, self.known_beforehand(inputs), shown)
        mismatch = inputs.new_zeros(len(inputs))
        if hidden is None:
            _lstm_passes.scan(gates, states, weight)
        else:
            states[1:, :, :size] = hidden
            for steps in reversed(self.cached_steps(*inputs.shape[:2])):
                _lstm_passes.scan_along(
                    gates.at(steps), states[steps.start : steps.stop + 1], weight
                )
            free = (gates["o"] * gates.shown).sub_(hidden)
            mismatch = torch.linalg.vector_norm(free.flatten(1), ord=torch.inf, dim=1)
        return Forced(states, LSTMLinearisation(self, gates, inputs, states), mismatch)


class LSTMLinearisation(AffineLinearisation):
    """Goes back by the gates that the forward pass left; all else from the preactivations."""

    def __init__(self, cell: LSTMCell, gates: GateBuffers, x: Tensor, states: Tensor):
        super().__init__(cell, x, states[:-1], states[1:])
        self.lstm, self.buffers, self.states = cell, gates, states

    def backpropagate_gates(
        self, adjoints: Float[Tensor, "times batch state"]
    ) -> Float[Tensor, "times-1 batch gates"]:
        """As of ``AffineLinearisation``."""
        c_prev = self.s_prev[..., self.cell.hidden_size :]
        return _lstm_passes.backpropagate(self.buffers, c_prev, adjoints, self.weight_hh)

    def views(self, steps: slice) -> LSTMLinearisation:
        """As of ``AffineLinearisation``."""
        start, stop, _ = steps.indices(len(self.x))
        part = slice(start, stop)
        return LSTMLinearisation(
            self.lstm, self.buffers.at(part), self.x[part], self.states[start : stop + 1]
        )
