"""Recurrences with weights from state to state: RNN, LSTM, GRU, and gradscope's own cells."""

from __future__ import annotations

import copy
import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gradscope.auditing._reader import Read, Reader
from gradscope.cells import Cell, Stack
from gradscope.cells._conversion import convert, layer_cells
from gradscope.dynamics import mean_field
from gradscope.errors import GradscopeError

#: size up to which all eigenvalues are taken, and not the largest alone
_SMALL = 512
#: directions and steps of the iteration for the largest
_DIRECTIONS, _ITERATIONS = 4, 100
#: gates that keep the state where they are open
_KEEP = {"f": "forget_gate", "z": "update_gate"}


class Cells(Reader):
    """A recurrent module of torch or gradscope: its gates and its Jacobian at rest.

    At rest input and state are zero: gates stand where their biases put them.
    """

    def knows(self, module: nn.Module) -> bool:
        """By its class."""
        return isinstance(module, nn.RNNBase | nn.RNNCellBase | Cell)

    def read(self, module: nn.Module) -> list[Read]:
        """Every layer and direction."""
        return [read_cell(part, cell) for part, cell in _cells(module)]


def _cells(module: nn.Module) -> list[tuple[str, Cell]]:
    if isinstance(module, nn.RNNBase):
        layers = layer_cells(module)
        return [(name if len(layers) > 1 else "", cell) for name, cell in layers]
    if isinstance(module, Stack):
        return [(f"l{index}", layer) for index, layer in enumerate(module.layers)]
    if isinstance(module, nn.RNNCellBase):
        return [("", convert(module))]
    assert isinstance(module, Cell)
    return [("", module)]


@torch.no_grad()
def read_cell(part: str, cell: Cell) -> Read:
    """The rates of one cell: of its units where a gate keeps them, else of its modes at rest."""
    cell = copy.deepcopy(cell).cpu()
    cell = cell.double() if cell.state_size <= _SMALL else cell.float()
    s = cell.initial_state(1)
    x = s.new_zeros(1, cell.input_size)
    moduli = _moduli(cell, x, s)
    facts = _gate_facts(cell, x, s) | {"spectral_radius": float(moduli.max())} | _mean_field(cell)
    gates = cell.gates(x, s)
    kept = next((gates[name].value.flatten() for name in _KEEP if name in gates), None)
    if kept is not None:
        return Read(part, -kept.double().clamp_min(1e-300).log(), facts, "unit")
    return Read(part, -moduli.log(), facts, "mode")


def _gate_facts(cell: Cell, x: Tensor, s: Tensor) -> dict[str, float]:
    return {
        _KEEP.get(name, f"gate_{name}"): float(gate.value.mean())
        for name, gate in cell.gates(x, s).items()
        if name in ("f", "z", "i", "o", "r")
    }


def _moduli(cell: Cell, x: Tensor, s: Tensor) -> Float[Tensor, " values"]:
    """|eigenvalues| of J at rest, descending; of a large one the largest alone.

    Of ReLU, whose slope is 0 there, those of W_hh. NaN where they are not known.
    """
    matrices = cell.recurrent_matrices()
    if getattr(cell, "activation", "") == "relu" and len(matrices) == 1:
        matrix = next(iter(matrices.values()))
    else:
        matrix = cell.jacobian(x, s, cell(x, s))[0]
    if not bool(matrix.isfinite().all()):
        return torch.full((1,), torch.nan, dtype=torch.float64)
    if len(matrix) <= _SMALL:
        return torch.linalg.eigvals(matrix.double()).abs().sort(descending=True).values
    return _largest(matrix)


def _largest(matrix: Float[Tensor, "size size"]) -> Float[Tensor, " one"]:
    """The largest |eigenvalue|, by orthogonal iteration: the mean growth of its first direction.

    Within a few per cent where many have nearly that modulus, as those of a random matrix have.
    """
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(len(matrix), _DIRECTIONS, generator=generator).to(matrix)
    directions, grown = torch.linalg.qr(drawn)[0], []
    for _ in range(_ITERATIONS):
        directions, r = torch.linalg.qr(matrix @ directions)
        grown.append(r.diagonal().abs().double().log())
    late = torch.stack(grown[_ITERATIONS // 4 :]).mean(0)
    return late.amax(keepdim=True).exp()


def _mean_field(cell: Cell) -> dict[str, float]:
    """chi of a simple cell, its recurrent weights taken for Gaussian ones of their variance."""
    matrices, activation = cell.recurrent_matrices(), getattr(cell, "activation", None)
    if len(matrices) != 1 or not isinstance(activation, str):
        return {}
    weight = next(iter(matrices.values())).double()
    gain = math.sqrt(float(weight.square().mean()) * len(weight))
    try:
        return {"gain": gain, "chi": mean_field(activation, gain).chi}
    except GradscopeError:
        return {"gain": gain}
