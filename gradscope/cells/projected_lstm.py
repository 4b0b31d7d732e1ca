"""The LSTM with a projected output."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Generator, Tensor, nn

from gradscope.cells._cell import Cell, TorchModule, register
from gradscope.cells._gated import Bias, InitOption, TensorKind, affine, rows
from gradscope.dynamics.activations import ACTIVATIONS, Gate, sigmoid_slope, tanh_slope
from gradscope.errors import GradscopeError
from gradscope.inits import INITS


@register("projected_lstm")
class ProjectedLSTM(Cell):
    """The LSTM with a large cell c and a short output h, a projection.

        c_t = f c_{t-1} + i g        h_t = W_hr (o tanh(c_t))

    State s = [h, c] with h of ``projection_size`` and c of ``hidden_size`` units; the gates see h.
    The parameters are those of torch.nn.LSTM with proj_size.

    Reference: Sak, Senior and Beaufays (2014), Long short-term memory recurrent neural network
    architectures for large scale acoustic modeling.
    """

    of_start = frozenset({"recurrent_init"})
    takes_trials = True
    state_blocks = ("h", "c")
    gate_names = ("i", "f", "g", "o")

    def __init__(
        self,
        input_size: int,
        *,
        hidden_size: Annotated[
            int, Field(ge=1, description="length of the cell c; the gates have as many units")
        ] = 64,
        projection_size: Annotated[
            int | None,
            Field(
                ge=1, description="length of the output h, which the gates read; null: as long as c"
            ),
        ] = None,
        bias: Bias = True,
        recurrent_init: InitOption = "uniform",
        generator: Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ):
        super().__init__(input_size, projection_size or hidden_size)
        self.cell_size, self.init = hidden_size, INITS.make(recurrent_init)
        kind = TensorKind(dtype=dtype, device=device)
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden_size, input_size, **kind))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden_size, self.hidden_size, **kind))
        self.bias_ih, self.bias_hh = (
            nn.Parameter(torch.empty(4 * hidden_size, **kind)) if bias else None for _ in range(2)
        )
        self.weight_hr = nn.Parameter(torch.empty(self.hidden_size, hidden_size, **kind))
        self.reset_parameters(generator)

    @property
    def state_size(self) -> int:
        """The length of h and c together."""
        return self.hidden_size + self.cell_size

    @property
    def blocks(self) -> dict[str, slice]:
        """Where h and c lie along the state."""
        return {"h": slice(0, self.hidden_size), "c": slice(self.hidden_size, self.state_size)}

    @torch.no_grad()
    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw the weights as ``recurrent_init`` says.

        Recurrent blocks that are not square are drawn like its input weights.
        """
        bound = 1 / math.sqrt(self.cell_size)
        for block in self.weight_ih.split(self.cell_size):
            block.copy_(self.init.dense(self.cell_size, self.input_size, bound, generator))
        for block in self.weight_hh.split(self.cell_size):
            square = self.hidden_size == self.cell_size
            block.copy_(
                self.init.recurrent(self.cell_size, generator)
                if square
                else self.init.dense(self.cell_size, self.hidden_size, bound, generator)
            )
        self.weight_hr.copy_(self.init.dense(self.hidden_size, self.cell_size, bound, generator))
        for bias in (self.bias_ih, self.bias_hh):
            if bias is not None:
                bias.copy_(self.init.bias(4 * self.cell_size, bound, generator))

    def torch_module(self) -> tuple[TorchModule, dict[str, object]]:
        """torch.nn.LSTM with proj_size, which always projects to fewer units.

        Raises:
            GradscopeError: for a projection that is as long as the cell or longer.
        """
        if self.hidden_size >= self.cell_size:
            raise GradscopeError(
                "torch.nn.LSTM projects to fewer units than hidden_size; this cell's projection is "
                f"from {self.cell_size} to {self.hidden_size}"
            )
        return nn.LSTM, {"hidden_size": self.cell_size, "proj_size": self.hidden_size}

    def _preactivations(self, x: Tensor, s: Tensor) -> tuple[Tensor, ...]:
        """(u_i, u_f, u_g, u_o)."""
        u = affine(x, self.weight_ih, self.bias_ih) + affine(
            s[..., : self.hidden_size], self.weight_hh, self.bias_hh
        )
        return u.chunk(4, dim=-1)

    def forward(
        self, x: Float[Tensor, "*batch input"], s: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """One step."""
        i, f, g, o = self._preactivations(x, s)
        c = torch.sigmoid(f) * s[..., self.hidden_size :] + torch.sigmoid(i) * torch.tanh(g)
        return torch.cat((affine(torch.sigmoid(o) * torch.tanh(c), self.weight_hr), c), dim=-1)

    @torch.no_grad()
    def jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state state"]:
        """The rows of an LSTM, those of h multiplied by W_hr from the left."""
        u_i, u_f, u_g, u_o = self._preactivations(x, s_prev)
        i, f, g, o = torch.sigmoid(u_i), torch.sigmoid(u_f), torch.tanh(u_g), torch.sigmoid(u_o)
        c_prev, c = s_prev[..., self.hidden_size :], s[..., self.hidden_size :]
        shown = torch.tanh(c)
        w_i, w_f, w_g, w_o = self.weight_hh.chunk(4, dim=-2)
        c_by_h = (
            rows(g * sigmoid_slope(u_i, i), w_i)
            + rows(c_prev * sigmoid_slope(u_f, f), w_f)
            + rows(i * tanh_slope(u_g, g), w_g)
        )
        d_c = torch.cat((c_by_h, torch.diag_embed(f)), dim=-1)
        d_m = (o * tanh_slope(c, shown)).unsqueeze(-1) * d_c
        d_m[..., : self.hidden_size] += rows(shown * sigmoid_slope(u_o, o), w_o)
        projection = self.weight_hr if self.weight_hr.dim() == 2 else self.weight_hr.unsqueeze(-3)
        return torch.cat((projection @ d_m, d_c), dim=-2)

    def gates(
        self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Gate]:
        """Input gate, forget gate, candidate and output gate."""
        sigmoid, tanh = ACTIVATIONS["sigmoid"], ACTIVATIONS["tanh"]
        parts = zip(self.gate_names, self._preactivations(x, s_prev), strict=True)
        return {name: Gate(tanh if name == "g" else sigmoid, u) for name, u in parts}
