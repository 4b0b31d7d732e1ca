"""The LSTM with one thing left out, and with peepholes."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Generator, Tensor, nn

from gradscope.cells._affine_equation import Derivatives
from gradscope.cells._cell import register
from gradscope.cells._gated import Bias, HiddenSize, InitOption, TensorKind, vector
from gradscope.cells._lstm import Chrono, ForgetBias, LSTMCell, check_biases
from gradscope.cells._lstm_gates import Form, Gates

#: the variants of Greff et al. by name
FORMS: dict[str, Form] = {
    "np": Form(),
    "nig": Form(names=("f", "g", "o")),
    "nfg": Form(names=("i", "g", "o")),
    "nog": Form(names=("i", "f", "g")),
    "niaf": Form(linear_input=True),
    "noaf": Form(linear_output=True),
    "cifg": Form(names=("i", "g", "o"), coupled=True),
}


@register("lstm_variant")
class LSTMVariant(LSTMCell):
    """The LSTM with a gate or an activation left out, with or without peepholes.

        c_t = f c_{t-1} + i g          h_t = o tanh(c_t)

    nig, nfg and nog leave out the input, forget or output gate, which is then 1; niaf and noaf the
    tanh of the candidate or of the output; cifg the forget gate, which is then 1 - i; np nothing.
    Peepholes p add p c_{t-1} to the preactivations of i and f, and p c_t to that of o, unit by
    unit; with np that is the vanilla LSTM of Greff et al. State s = [h, c].

    Reference: Greff, Srivastava, Koutnik, Steunebrink and Schmidhuber (2017), LSTM: a search space
    odyssey.
    """

    former_name = "lstm"

    def __init__(
        self,
        input_size: int,
        *,
        hidden_size: HiddenSize = 64,
        variant: Annotated[
            Literal["np", "nig", "nfg", "nog", "niaf", "noaf", "cifg"],
            Field(
                description=(
                    "what is left out: np nothing; nig, nfg or nog the input, forget or "
                    "output gate (it is 1); niaf or noaf the tanh of the candidate or of the "
                    "output; cifg the forget gate (it is 1 - i)"
                )
            ),
        ] = "np",
        peepholes: Annotated[
            bool,
            Field(
                description=(
                    "whether the gates see the cell c as well, each unit its own; false: they "
                    "see h alone"
                )
            ),
        ] = False,
        forget_bias: ForgetBias = None,
        chrono: Chrono = None,
        bias: Bias = True,
        recurrent_init: InitOption = "uniform",
        generator: Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ):
        self.form = FORMS[variant]
        check_biases(self.form, forget_bias, chrono, bias)
        self.forget_bias, self.chrono, self.variant = forget_bias, chrono, variant
        self.gate_names = self.form.names
        looking = [name for name in self.form.names if name != "g"] if peepholes else []
        self.vectors = tuple(f"peephole_{name}" for name in looking)
        super().__init__(
            input_size,
            hidden_size=hidden_size,
            bias=bias,
            recurrent_init=recurrent_init,
            generator=generator,
            dtype=dtype,
            device=device,
        )

    def add_parameters(self, kind: TensorKind) -> None:
        """The peepholes, one weight for each unit and gate."""
        for name in self.vectors:
            self.register_parameter(name, nn.Parameter(torch.empty(self.hidden_size, **kind)))

    def _peephole(self, name: str) -> Tensor | None:
        known = f"peephole_{name}" in self.vectors
        return vector(getattr(self, f"peephole_{name}")) if known else None

    def _gates(self, u_x: Tensor, s_prev: Tensor) -> tuple[dict[str, Tensor], Gates]:
        """The preactivations by name, with the peepholes, and the gates."""
        c_prev = s_prev[..., self.hidden_size :]
        u = self.form.split(u_x)
        for name in ("i", "f"):
            if (p := self._peephole(name)) is not None:
                u[name] = u[name] + p * c_prev
        gates = self.form.gates(u, c_prev)
        if (p := self._peephole("o")) is not None:
            u["o"] = u["o"] + p * gates.c
            gates = gates._replace(o=torch.sigmoid(u["o"]))
        return u, gates

    def combine(
        self,
        u_x: Float[Tensor, "*batch gates"],
        u_h: Float[Tensor, "*batch gates"] | None,
        s_prev: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state"]:
        """c_t = f c_{t-1} + i g and h_t = o tanh(c_t)."""
        _, gates = self._gates(u_x, s_prev)
        return torch.cat((gates.o * gates.squashed_c, gates.c), dim=-1)

    def derivatives(
        self,
        u_x: Float[Tensor, "*batch gates"],
        u_h: Float[Tensor, "*batch gates"] | None,
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Derivatives:
        """Those of the LSTM; peepholes let c_{t-1} act through i and f too, and c_t through o."""
        u, gates = self._gates(u_x, s_prev)
        by_gate = gates.by_gate(self.form, u, s_prev[..., self.hidden_size :])
        c_by_c, h_by_c = gates.f, gates.h_by_c(self.form)
        for name in ("i", "f"):
            if (p := self._peephole(name)) is not None:
                c_by_c = c_by_c + by_gate[name] * p
        if (p := self._peephole("o")) is not None:
            h_by_c = h_by_c + by_gate["o"] * p
        return self.assembled(by_gate, c_by_c, h_by_c)

    def by_vectors(
        self,
        u_x: Float[Tensor, "*batch gates"],
        u_h: Float[Tensor, "*batch gates"] | None,
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch n vectors h"]:
        """By the peepholes: c_{t-1} times the derivatives by u_i, u_f; c_t times those by u_o."""
        _, gates = self._gates(u_x, s_prev)
        seen = {
            "i": s_prev[..., self.hidden_size :],
            "f": s_prev[..., self.hidden_size :],
            "o": gates.c,
        }
        by_gates = self.derivatives(u_x, u_h, s_prev, s).by_recurrent
        columns = []
        for vector_name in self.vectors:
            gate = vector_name.removeprefix("peephole_")
            by_gate = by_gates[..., self.gate_names.index(gate), :]
            columns.append(by_gate * seen[gate].unsqueeze(-2))
        return torch.stack(columns, dim=-2)

    def gate_inputs(
        self, u_x: Float[Tensor, "*batch gates"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Tensor]:
        """u of each gate by name, with the peepholes."""
        return self._gates(u_x, s_prev)[0]
