"""GatedCell: the parameters that gated cells share, and the algebra of their equations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, TypedDict

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Generator, Tensor, nn

from gradscope.cells._cell import Cell
from gradscope.cells._products import by_weight
from gradscope.components.options import Named
from gradscope.inits import INITS, Init


class TensorKind(TypedDict):
    """The dtype and device of the tensors of a cell."""

    dtype: torch.dtype | None
    device: torch.device | str | None


# Options that cells share, each described once.
HiddenSize = Annotated[
    int, Field(ge=1, description="H, the number of units: length of the output h and of each gate")
]
Bias = Annotated[
    bool,
    Field(description="whether a bias is added to the preactivations u; false: weights alone"),
]
#: a recurrent initialisation: a name, or a mapping with options
InitOption = Annotated[
    Init | str | Mapping[str, object],
    Named("init"),
    Field(
        description=(
            "how weights are drawn: a recurrent matrix (H, H) for each gate of a cell that has "
            "them, and input weights and biases as the init says; a name, or a mapping with options"
        )
    ),
]
#: what each of ``ACTIVATIONS`` is
PHI = (
    "phi, element by element: tanh; relu max(0, u); identity u; sigmoid 1 / (1 + e^-u); leaky_relu "
    "slope 0.01 below 0; elu e^u - 1 below 0; selu a scaled elu; gelu u times the normal "
    "distribution function; silu u sigmoid(u); softplus ln(1 + e^u); softsign u / (1 + |u|); "
    "hard_tanh u within -1 and 1; erf; sin"
)


class GatedCell(Cell):
    """Base of cells with a block of weights for each gate.

    With G gates: weight_ih ``(G * hidden, input)``, weight_hh ``(G * hidden, hidden)``, bias_ih and
    bias_hh ``(G * hidden)``. The equations leave leading axes free, so weights may have a ``trial``
    axis in front; inputs and states then have it too, before ``batch``. A cell with more options
    writes its own ``__init__`` and passes these on.
    """

    of_start = frozenset({"recurrent_init"})
    takes_trials = True
    #: names of the gates, in the order of their blocks of weights
    gate_names: tuple[str, ...]
    #: whether there is a weight_hh
    recurrent: ClassVar[bool] = True
    #: whether there is a bias_hh beside bias_ih
    two_biases: ClassVar[bool] = True

    def __init__(
        self,
        input_size: int,
        *,
        hidden_size: HiddenSize = 64,
        bias: Bias = True,
        recurrent_init: InitOption = "uniform",
        generator: Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ):
        super().__init__(input_size, hidden_size)
        self.init = INITS.make(recurrent_init)
        rows = len(self.gate_names) * hidden_size
        kind = TensorKind(dtype=dtype, device=device)
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size, **kind))
        self.weight_hh = (
            nn.Parameter(torch.empty(rows, hidden_size, **kind)) if self.recurrent else None
        )
        self.bias_ih = nn.Parameter(torch.empty(rows, **kind)) if bias else None
        self.bias_hh = nn.Parameter(torch.empty(rows, **kind)) if bias and self.two_biases else None
        self.add_parameters(kind)
        self.reset_parameters(generator)

    def add_parameters(self, kind: TensorKind) -> None:
        """Make the parameters that only the subclass has; ``kind`` is their dtype and device."""

    @torch.no_grad()
    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw the weights as ``recurrent_init`` says.

        They are drawn in float64 on the CPU, so that they do not depend on dtype and device.
        """
        size = self.hidden_size
        for block in self.weight_ih.split(size):
            block.copy_(self.init.dense(size, self.input_size, 1 / math.sqrt(size), generator))
        if self.weight_hh is not None:
            for block in self.weight_hh.split(size):
                block.copy_(self.init.recurrent(size, generator))
        for bias in (self.bias_ih, self.bias_hh):
            if bias is not None:
                for block in bias.split(size):
                    block.copy_(self.init.bias(size, 1 / math.sqrt(size), generator))

    def recurrent_matrices(self) -> dict[str, Float[Tensor, "hidden hidden"]]:
        """The blocks of weight_hh by gate."""
        if self.weight_hh is None:
            return {}
        blocks = self.weight_hh.detach().split(self.hidden_size, dim=-2)
        return dict(zip(self.gate_names, blocks, strict=True))


def chrono_biases(size: int, longest: int, generator: Generator | None) -> Float[Tensor, " size"]:
    """b_f ~ ln U(1, longest - 1), forget biases for dependencies up to the longest expected.

    Reference: Tallec and Ollivier (2018), Can recurrent neural networks warp time?
    """
    drawn = torch.rand(size, dtype=torch.float64, generator=generator)
    return (drawn * (longest - 2) + 1).log()


@torch.no_grad()
def set_gate_bias(cell: GatedCell, gate: str, values: Float[Tensor, " hidden"]) -> None:
    """Set bias_ih + bias_hh of a gate to these values."""
    place = cell.gate_names.index(gate) * cell.hidden_size
    block = slice(place, place + cell.hidden_size)
    assert cell.bias_ih is not None
    cell.bias_ih[block] = values.to(cell.bias_ih)
    if cell.bias_hh is not None:
        cell.bias_hh[block] = 0.0


def affine(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b with any leading axes.

    A weight ``(trial, out, in)`` goes with an x ``(..., trial, batch, in)``.
    """
    if weight.dim() == 2:
        return nn.functional.linear(x, weight, bias)
    return by_weight(x, weight.mT, bias)


def vector(parameter: Tensor) -> Tensor:
    """A parameter ``(hidden)`` or ``(trial, hidden)``, ready to meet ``(..., batch, hidden)``."""
    return parameter if parameter.dim() == 1 else parameter.unsqueeze(-2)


def rows(diagonal: Float[Tensor, "*batch h"], weight: Tensor) -> Float[Tensor, "*batch h columns"]:
    """diag(diagonal) W."""
    return diagonal.unsqueeze(-1) * (weight if weight.dim() == 2 else weight.unsqueeze(-3))
