"""The LSTM cell with forget gate."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Generator, Tensor, nn

from gradscope.cells._affine import AffineCell, AffineLinearisation, Local
from gradscope.cells._cell import Gate
from gradscope.cells._gated import vector
from gradscope.cells._lstm_passes import Gates, LSTMLinearisation, backward, forward
from gradscope.components.options import Named
from gradscope.components.registry import register
from gradscope.dynamics.activations import ACTIVATIONS
from gradscope.errors import GradscopeError

#: variants of Greff et al. (2017); np is torch's, vanilla here with peepholes: true
Variant = Literal["np", "nig", "nfg", "nog", "niaf", "noaf", "cifg"]
#: the gates that each has no weights for
LEFT_OUT: dict[str, str] = {
    "np": "",
    "nig": "i",
    "nfg": "f",
    "nog": "o",
    "niaf": "",
    "noaf": "",
    "cifg": "f",
}


class _Parts(NamedTuple):
    """The gates' preactivations by name, and everything between them and the new state, unit by
    unit.
    """

    u: dict[str, Tensor]
    c_prev: Tensor
    i: Tensor
    f: Tensor
    g: Tensor
    o: Tensor
    c: Tensor
    squashed: Tensor


@register("cell", "lstm")
class LSTM(AffineCell):
    """c_t = f c_{t-1} + i g, h_t = o tanh(c_t), with i, f, o = sigmoid(.), g = tanh(.) of W_ih x_t
    + W_hh h_{t-1} + b.

    State s = [h, c]. Gates in torch's order i, f, g, o: a state dict of torch.nn.LSTM loads. The
    forget gate decides what c keeps: with W_hh = 0, dc_t/dc_k is the product of the forget gates.

    variant leaves one thing out: nig, nfg, nog the input, forget or output gate (1 in its place),
    niaf, noaf the tanh of the candidate or of the output, cifg the forget gate, f = 1 - i. With
    peepholes the gates see the cell's content, i and f c_{t-1}, o c_t, each unit its own: that is
    the vanilla LSTM of Greff et al., and np, without them, the default here.

    Reference: Hochreiter and Schmidhuber (1997), Long short-term memory; Gers, Schmidhuber and
    Cummins (2000), Learning to forget: the forget gate; Jozefowicz, Zaremba and Sutskever (2015):
    forget_bias = 1; Tallec and Ollivier (2018), Can recurrent neural networks warp time?: chrono;
    Greff et al. (2017), LSTM: a search space odyssey: the variants.
    """

    state_blocks = ("h", "c")
    gate_names: tuple[str, ...] = ("i", "f", "g", "o")
    additive = True

    def __init__(
        self,
        input_size: int,
        *,
        hidden_size: Annotated[int, Field(ge=1, description="number of units")] = 64,
        variant: Annotated[
            Variant, Field(description="what is left out, after Greff et al.")
        ] = "np",
        peepholes: Annotated[
            bool, Field(description="whether gates see c, each its own unit's")
        ] = False,
        forget_bias: Annotated[
            float | None, Field(description="initial bias of the forget gate; null: as drawn")
        ] = None,
        chrono: Annotated[
            int | None,
            Field(
                ge=3,
                description=(
                    "longest dependency expected: b_f ~ ln U(1, chrono - 1), b_i = -b_f; null: no"
                ),
            ),
        ] = None,
        bias: Annotated[bool, Field(description="whether the gates have biases")] = True,
        recurrent_init: Annotated[Any, Named("init")] = "uniform",
        generator: Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ):
        if forget_bias is not None and not bias:
            raise GradscopeError(
                "forget_bias has nothing to act on where bias is false; leave one of them out"
            )
        missing = LEFT_OUT[variant]
        if forget_bias is not None and (chrono is not None or "f" in missing):
            reason = (
                "chrono sets that bias too"
                if chrono is not None
                else f"variant {variant} has no forget gate"
            )
            raise GradscopeError(f"forget_bias cannot be used: {reason}; leave it out")
        if chrono is not None and (not bias or {"i", "f"} & set(missing)):
            raise GradscopeError(
                "chrono needs biases and both the input and the forget gate; got variant"
                f" {variant}, bias {bias}"
            )
        self.forget_bias, self.chrono, self.variant = forget_bias, chrono, variant
        self.gate_names = tuple(name for name in ("i", "f", "g", "o") if name not in missing)
        self.linear_input, self.linear_output = variant == "niaf", variant == "noaf"
        self.vectors = (
            tuple(f"peephole_{name}" for name in self.gate_names if name != "g")
            if peepholes
            else ()
        )
        super().__init__(
            input_size,
            hidden_size=hidden_size,
            bias=bias,
            recurrent_init=recurrent_init,
            generator=generator,
            dtype=dtype,
            device=device,
        )

    def add_parameters(self, kind: dict[str, Any]) -> None:
        """The peepholes, diagonal."""
        for name in self.vectors:
            self.register_parameter(name, nn.Parameter(torch.empty(self.hidden_size, **kind)))

    @torch.no_grad()
    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw the weights; then bias_ih + bias_hh of the gates is what ``forget_bias`` or
        ``chrono`` say.
        """
        super().reset_parameters(generator)
        size = self.hidden_size
        for name in self.vectors:
            getattr(self, name).copy_(self.init.dense(size, 1, size**-0.5, generator)[:, 0])
        if self.chrono is not None:
            drawn = (
                torch.rand(size, dtype=torch.float64, generator=generator) * (self.chrono - 2) + 1
            )
            self._set_bias("f", drawn.log())
            self._set_bias("i", -drawn.log())
        elif self.forget_bias is not None:
            self._set_bias("f", torch.full((size,), self.forget_bias))

    def _set_bias(self, gate: str, values: Tensor) -> None:
        place = self.gate_names.index(gate) * self.hidden_size
        assert self.bias_ih is not None
        assert self.bias_hh is not None
        self.bias_ih[place : place + self.hidden_size] = values.to(self.bias_ih)
        self.bias_hh[place : place + self.hidden_size] = 0.0

    # --- the equation -----------------------------------------------------------------------------

    def _peephole(self, name: str) -> Tensor | None:
        return (
            vector(getattr(self, f"peephole_{name}"))
            if f"peephole_{name}" in self.vectors
            else None
        )

    def _by_name(self, u_x: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.gate_names, u_x.chunk(len(self.gate_names), dim=-1), strict=True))

    def _parts(self, u_x: Tensor, s_prev: Tensor) -> _Parts:
        """The gates, c_t and what the gates are functions of; a gate that is left out is 1."""
        c_prev = s_prev[..., self.hidden_size :]
        u = self._by_name(u_x)
        for name in ("i", "f"):
            if name in u and (p := self._peephole(name)) is not None:
                u[name] = u[name] + p * c_prev
        one = torch.ones_like(c_prev)
        i = torch.sigmoid(u["i"]) if "i" in u else one
        f = 1 - i if self.variant == "cifg" else torch.sigmoid(u["f"]) if "f" in u else one
        g = u["g"] if self.linear_input else torch.tanh(u["g"])
        c = f * c_prev + i * g
        if "o" in u and (p := self._peephole("o")) is not None:
            u["o"] = u["o"] + p * c
        o = torch.sigmoid(u["o"]) if "o" in u else one
        return _Parts(u, c_prev, i, f, g, o, c, c if self.linear_output else torch.tanh(c))

    def combine(
        self,
        u_x: Float[Tensor, "*batch gates"],
        u_h: Tensor | None,
        s_prev: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state"]:
        """c_t = f c_{t-1} + i g and h_t = o tanh(c_t)."""
        parts = self._parts(u_x, s_prev)
        return torch.cat((parts.o * parts.squashed, parts.c), dim=-1)

    def local(self, u_x: Tensor, u_h: Tensor | None, s_prev: Tensor, s: Tensor) -> Local:
        """dc/d(i, f, g) = (g i', c_{t-1} f', i g'), dc/dc_{t-1} = f; dh follows by o tanh'(c), and
        dh/do = tanh(c) o'.

        A peephole p adds c_{t-1} to what i and f are functions of, c_t to what o is.
        """
        parts = self._parts(u_x, s_prev)
        by_c, by_o = self._by_gate(parts), parts.squashed * parts.o * (1 - parts.o)
        carried = parts.f
        for name in ("i", "f"):
            if (p := self._peephole(name)) is not None:
                carried = carried + by_c[name] * p
        to_hidden = (
            parts.o if self.linear_output else parts.o * (1 - parts.squashed * parts.squashed)
        )
        if (p := self._peephole("o")) is not None:
            to_hidden = to_hidden + by_o * p
        onto_c = torch.stack([by_c[name] for name in self.gate_names], dim=-2)
        onto_h = to_hidden.unsqueeze(-2) * onto_c
        if "o" in self.gate_names:
            onto_h[..., self.gate_names.index("o"), :] = by_o
        zero = torch.zeros_like(carried)
        by_state = torch.stack(
            (torch.stack((zero, to_hidden * carried), -2), torch.stack((zero, carried), -2)), dim=-3
        )
        by_gates = torch.stack((onto_h, onto_c), dim=-3)
        return Local(by_gates, by_gates, by_state)

    def descend(
        self,
        u_x: Tensor,
        u_h: Tensor | None,
        before: Tensor,
        after: Tensor,
        adjoints: Tensor,
        weight_hh: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """dc = a[c] + a[h] o tanh'(c) first; then d_i, d_f, d_g are dc times their slopes, d_o is
        a[h] tanh(c) o'.
        """
        if self.vectors:  # peepholes: gates feel c as well
            return super().descend(u_x, u_h, before, after, adjoints, weight_hh)
        gates, size = Gates.of(self, u_x, after[..., self.hidden_size :]), self.hidden_size
        deltas = backward(gates, before[..., size:], adjoints, weight_hh)
        return deltas, deltas

    @torch.no_grad()
    def followed(
        self,
        inputs: Float[Tensor, "time batch input"],
        state: Float[Tensor, "batch state"],
        hidden: Float[Tensor, "time batch hidden"] | None = None,
    ) -> tuple[Float[Tensor, "time+1 batch state"], AffineLinearisation, Float[Tensor, " time"]]:
        """As ``AffineCell.followed``; the gates that are found on the way serve the way back."""
        if self.vectors:
            return super().followed(inputs, state, hidden)
        states, gates = forward(self, inputs, state, hidden)
        departure = inputs.new_zeros(len(inputs))
        if hidden is not None:
            own = (gates["o"] * gates.squashed).sub_(hidden)
            departure = torch.linalg.vector_norm(own.flatten(1), ord=torch.inf, dim=1)
        return states, LSTMLinearisation(gates, inputs, states[:-1], states[1:]), departure

    def _by_gate(self, parts: _Parts) -> dict[str, Tensor]:
        """dc/du of each gate."""
        i, f, g = parts.i, parts.f, parts.g
        return {
            "i": (g - parts.c_prev if self.variant == "cifg" else g) * i * (1 - i),
            "f": parts.c_prev * f * (1 - f),
            "g": i if self.linear_input else i * (1 - g * g),
            "o": torch.zeros_like(i),
        }

    def by_vectors(
        self,
        u_x: Tensor,
        u_h: Tensor | None,
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch blocks vectors hidden"]:
        """Of the peepholes: c_{t-1} times what i and f do, c_t times what o does."""
        parts, local = self._parts(u_x, s_prev), self.local(u_x, u_h, s_prev, s)
        found = []
        for name in self.vectors:
            gate = name[-1]
            felt = local.by_recurrent[..., self.gate_names.index(gate), :]
            found.append(felt * (parts.c if gate == "o" else parts.c_prev).unsqueeze(-2))
        return torch.stack(found, dim=-2)

    def gates(
        self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Gate]:
        """input, forget, candidate and output gate, as many as there are."""
        u_x = self.preactivations(x, s_prev)[0]
        u = self._parts(u_x, s_prev).u if self.vectors else self._by_name(u_x)
        sigmoid, candidate = (
            ACTIVATIONS["sigmoid"],
            ACTIVATIONS["identity" if self.linear_input else "tanh"],
        )
        return {
            name: Gate(candidate if name == "g" else sigmoid, u[name]) for name in self.gate_names
        }

    def outputs(
        self, inputs: Float[Tensor, "time batch input"], state: Float[Tensor, "batch state"]
    ) -> tuple[Float[Tensor, "time batch hidden"], Float[Tensor, "batch state"]]:
        """h_t for all t and the last state, by torch's fused kernel where it has this variant."""
        if self.weight_ih.dim() > 2 or self.variant != "np" or self.vectors:
            return super().outputs(inputs, state)
        h, c = (part.contiguous().unsqueeze(0) for part in state.chunk(2, dim=-1))
        weights: list[Tensor] = [
            self.weight_ih,
            self.recurrent_weight(),
            *(b for b in (self.bias_ih, self.bias_hh) if b is not None),
        ]
        output, h, c = torch.lstm(
            inputs, (h, c), weights, self.bias_ih is not None, 1, 0.0, self.training, False, False
        )
        return output, torch.cat((h[0], c[0]), dim=-1)
