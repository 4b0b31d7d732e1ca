"""LSTMCell: what the LSTM and its variants share beside their equations."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field
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
from gradscope.errors import GradscopeError

ForgetBias = Annotated[
    float | None,
    Field(
        description=(
            "initial bias of the forget gate, 1 starts it open at f = 0.73; null: as "
            "recurrent_init draws it"
        )
    ),
]
Chrono = Annotated[
    int | None,
    Field(
        ge=3,
        description=(
            "longest dependency expected, in steps: b_f ~ ln U(1, chrono - 1) and b_i "
            "= -b_f at the start; null: biases as drawn"
        ),
    ),
]


class LSTMCell(AffineCell):
    """Base of the LSTMs: initial biases, gates by name, and fast passes that work in place.

    A subclass writes its equation, and sets ``form``, ``forget_bias`` and ``chrono`` before it
    calls the constructor of this class.
    """

    state_blocks = ("h", "c")
    additive = True
    of_start = frozenset({"recurrent_init", "forget_bias", "chrono"})
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
        """Draw the weights and peepholes; then set the biases by forget_bias or chrono."""
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

    def assembled(self, by_gate: dict[str, Tensor], c_by_c: Tensor, h_by_c: Tensor) -> Derivatives:
        """The derivatives of [h, c]; h follows c by the chain rule.

        Args:
            by_gate: dc/du of i, f and g, and dh/du of o with c held fixed.
            c_by_c: dc_t/dc_{t-1}.
            h_by_c: dh_t/dc_t.
        """
        names = self.form.names
        onto_c = torch.stack(
            [by_gate[name] if name != "o" else torch.zeros_like(c_by_c) for name in names], dim=-2
        )
        onto_h = h_by_c.unsqueeze(-2) * onto_c
        if "o" in names:
            onto_h[..., names.index("o"), :] = by_gate["o"]
        zero = torch.zeros_like(c_by_c)
        of_h, of_c = (zero, h_by_c * c_by_c), (zero, c_by_c)
        by_state = torch.stack((torch.stack(of_h, -2), torch.stack(of_c, -2)), dim=-3)
        by_gates = torch.stack((onto_h, onto_c), dim=-3)
        return Derivatives(by_gates, by_gates, by_state)

    def gates(
        self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Gate]:
        """Input, forget, candidate and output gate, as far as the cell has them."""
        u = self.gate_inputs(self.preactivations(x, s_prev)[0], s_prev)
        candidate = ACTIVATIONS["identity" if self.form.linear_input else "tanh"]
        sigmoid = ACTIVATIONS["sigmoid"]
        return {
            name: Gate(candidate if name == "g" else sigmoid, u[name]) for name in self.form.names
        }

    def backpropagate(
        self,
        u_x: Float[Tensor, "time *batch gates"],
        u_h: Float[Tensor, "time *batch gates"] | None,
        s_prev: Float[Tensor, "time *batch state"],
        s: Float[Tensor, "time *batch state"],
        adjoints: Float[Tensor, "time+1 *batch state"],
        weight_hh: Float[Tensor, "*trial gates hidden"],
    ) -> tuple[Float[Tensor, "time *batch gates"], Float[Tensor, "time *batch gates"]]:
        """As ``AffineEquation.backpropagate``, with less work: all deltas follow from dL/dc_t."""
        if self.vectors:  # peepholes let the gates depend on c as well
            return super().backpropagate(u_x, u_h, s_prev, s, adjoints, weight_hh)
        size = self.hidden_size
        gates = GateBuffers.of(self.form, u_x, s[..., size:])
        c = torch.cat((s_prev[:1, ..., size:], s[..., size:]))
        deltas = _lstm_passes.backpropagate(gates, c, adjoints, weight_hh, lambda: u_x)
        return deltas, deltas

    @torch.no_grad()
    def teacher_forced(
        self,
        inputs: Float[Tensor, "time batch input"],
        state: Float[Tensor, "batch state"],
        hidden: Float[Tensor, "time batch hidden"] | None = None,
    ) -> Forced:
        """As ``Cell.teacher_forced``; the gates of this pass serve the linearisation."""
        if self.vectors:
            return super().teacher_forced(inputs, state, hidden)
        size, weight = self.hidden_size, self.recurrent_weight()
        states = state.new_empty(len(inputs) + 1, *state.shape)
        states[0] = state
        squashed_c = states.new_empty(*inputs.shape[:2], size)
        gates = GateBuffers(self.form, self.known_beforehand(inputs), squashed_c)
        mismatch = inputs.new_zeros(len(inputs))
        if hidden is None:
            _lstm_passes.scan(gates, states, weight)
        else:
            states[1:, :, :size] = hidden
            for steps in reversed(self.cached_steps(*inputs.shape[:2])):
                _lstm_passes.scan_along(
                    gates.at(steps), states[steps.start : steps.stop + 1], weight
                )
            free = (gates["o"] * gates.squashed_c).sub_(hidden)
            mismatch = torch.linalg.vector_norm(free.flatten(1), ord=torch.inf, dim=1)
        return Forced(states, LSTMLinearisation(self, gates, inputs, states), mismatch)


class LSTMLinearisation(AffineLinearisation):
    """Backpropagates with the gates of the forward pass; all else is as in the base class."""

    def __init__(self, cell: LSTMCell, gates: GateBuffers, x: Tensor, states: Tensor):
        super().__init__(cell, x, states[:-1], states[1:])
        self.lstm, self.buffers, self.states = cell, gates, states

    def backpropagate_gates(
        self, adjoints: Float[Tensor, "times batch state"]
    ) -> Float[Tensor, "times-1 batch gates"]:
        """As in ``AffineLinearisation``."""
        c = self.states[..., self.cell.hidden_size :]
        return _lstm_passes.backpropagate(
            self.buffers, c, adjoints, self.weight_hh, lambda: self.u[0]
        )

    def views(self, steps: slice) -> LSTMLinearisation:
        """As in ``AffineLinearisation``."""
        start, stop, _ = steps.indices(len(self.x))
        part = slice(start, stop)
        return LSTMLinearisation(
            self.lstm, self.buffers.at(part), self.x[part], self.states[start : stop + 1]
        )


def check_biases(form: Form, forget_bias: float | None, chrono: int | None, bias: bool) -> None:
    """Check that an LSTM of this form has the biases that the options would set.

    Raises:
        GradscopeError: if not.
    """
    if forget_bias is not None and not bias:
        raise GradscopeError(
            "forget_bias has nothing to act on where bias is false; leave one of them out"
        )
    if forget_bias is not None and (chrono is not None or "f" not in form.names):
        reason = "chrono sets that bias too" if chrono is not None else "there is no forget gate"
        raise GradscopeError(f"forget_bias cannot be used: {reason}; leave it out")
    if chrono is not None and (not bias or not {"i", "f"} <= set(form.names)):
        raise GradscopeError(
            "chrono needs biases and both the input and the forget gate; there are "
            f"{', '.join(form.names)}, and bias is {str(bias).lower()}"
        )
