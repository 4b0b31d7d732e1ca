"""Stack: layers of cells as one cell."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from gradscope.cells._cell import Cell
from gradscope.cells._stack_linearisation import Layer, StackLinearisation
from gradscope.dynamics.activations import Gate
from gradscope.dynamics.linearisation import Linearisation
from gradscope.errors import GradscopeError


class Stack(Cell):
    """Layers of cells as one cell; each layer reads the hidden part of the layer below.

        cell = Stack([LSTM(8, hidden_size=32), LSTM(32, hidden_size=32)])
        gradscope.step_jacobians(gradscope.unroll(cell, inputs))  # of all layers together

    The state s_t = [s_t^1, ..., s_t^L] holds the states of all layers, and the Jacobian is block
    lower triangular over the layers. Everything that works on a cell works on a stack. ``hidden``
    is that of the last layer. The state dict has torch.nn's names (``weight_ih_l0``,
    ``weight_ih_l1``, ...), so that weights can be exchanged with torch where the cells have torch's
    parameters.

    Args:
        cells: the layers, bottom up.

    Attributes:
        batch_first: of torch's module that the stack was converted from, kept for the way back; a
            stack itself reads (time, batch, input).

    Raises:
        GradscopeError: for no cells, or cells whose sizes do not fit.
    """

    def __init__(self, cells: Sequence[Cell]):
        if not cells:
            raise GradscopeError("a stack needs at least one cell")
        for below, above in pairwise(cells):
            if above.input_size != below.hidden_size:
                raise GradscopeError(
                    f"a layer reads {above.input_size} inputs, but the one below gives "
                    f"{below.hidden_size}"
                )
        super().__init__(cells[0].input_size, cells[-1].hidden_size)
        self.cells = nn.ModuleList(cells)
        self.batch_first = False
        self.register_state_dict_post_hook(_to_torch_names)
        self.register_load_state_dict_pre_hook(_from_torch_names)

    @property
    def layers(self) -> list[Cell]:
        """The cells, bottom up."""
        return [cell for cell in self.cells if isinstance(cell, Cell)]

    @property
    def state_size(self) -> int:
        """The sum of the state sizes of the layers."""
        return sum(cell.state_size for cell in self.layers)

    @property
    def places(self) -> list[slice]:
        """Where the state of each layer lies in the state of the stack."""
        ends = [0, *accumulate(cell.state_size for cell in self.layers)]
        return [slice(start, stop) for start, stop in pairwise(ends)]

    @property
    def suffixes(self) -> list[str]:
        """The suffixes of names by layer: ``_l0``, ``_l1``, ...; empty for a single layer."""
        several = len(self.cells) > 1
        return [f"_l{layer}" if several else "" for layer in range(len(self.cells))]

    @property
    def blocks(self) -> dict[str, slice]:
        """The parts of the state: ``h``, ``c`` for one layer; ``h_l0``, ``h_l1``, ... for more."""
        return {
            f"{name}{suffix}": slice(place.start + block.start, place.start + block.stop)
            for cell, place, suffix in zip(self.layers, self.places, self.suffixes, strict=True)
            for name, block in cell.blocks.items()
        }

    def parts(self, s: Float[Tensor, "*any state"]) -> tuple[Tensor, ...]:
        """The states of the layers."""
        return s.split([cell.state_size for cell in self.layers], dim=-1)

    def hidden(self, s: Float[Tensor, "*any state"]) -> Float[Tensor, "*any hidden"]:
        """h of the last layer."""
        return self.layers[-1].hidden(self.parts(s)[-1])

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw every layer's weights anew."""
        for cell in self.layers:
            cell.reset_parameters(generator)

    # --- one step -------------------------------------------------------------------------------

    def forward(
        self, x: Float[Tensor, "*batch input"], s: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """One step of every layer, bottom up."""
        after = []
        for cell, part in zip(self.layers, self.parts(s), strict=True):
            after.append(cell(x, part))
            x = cell.hidden(after[-1])
        return after[0] if len(after) == 1 else torch.cat(after, dim=-1)

    def _inputs_of_layers(self, x: Tensor, s: Tensor) -> list[Tensor]:
        """What each layer reads at a step that leads to s."""
        below = zip(self.layers[:-1], self.parts(s)[:-1], strict=True)
        return [x, *(cell.hidden(part) for cell, part in below)]

    def gates(
        self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Gate]:
        """The gates of all layers, named ``i_l0``, ...; a single layer's keep their names."""
        gates: dict[str, Gate] = {}
        layers = zip(self.layers, self.parts(s_prev), self.suffixes, strict=True)
        for cell, part, suffix in layers:
            gates |= {name + suffix: gate for name, gate in cell.gates(x, part).items()}
            x = cell.hidden(cell(x, part))
        return gates

    def recurrent_matrices(self) -> dict[str, Float[Tensor, "hidden hidden"]]:
        """The recurrent matrices of all layers, named like the gates."""
        return {
            name + suffix: matrix
            for cell, suffix in zip(self.layers, self.suffixes, strict=True)
            for name, matrix in cell.recurrent_matrices().items()
        }

    @torch.no_grad()
    def jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state state"]:
        """Rows of layer l: (ds^l/dx^l) P (rows of layer l-1) + J^l on the diagonal; P takes h."""
        return self._jacobians(x, s_prev, s)[0]

    @torch.no_grad()
    def input_jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state input"]:
        """ds_t/dx_t through all layers."""
        return self._jacobians(x, s_prev, s)[1]

    def _jacobians(self, x: Tensor, s_prev: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        """(ds_t/ds_{t-1}, ds_t/dx_t)."""
        by_state: list[Tensor] = []
        by_input: list[Tensor] = []
        below: Cell | None = None
        states = zip(self.parts(s_prev), self.parts(s), self.places, strict=True)
        layers = zip(self.layers, self._inputs_of_layers(x, s), states, strict=True)
        for cell, inputs, (before, after, place) in layers:
            layer_by_input = cell.input_jacobian(inputs, before, after)
            layer_by_state = cell.jacobian(inputs, before, after)
            rows = layer_by_state.new_zeros(*layer_by_state.shape[:-1], self.state_size)
            if below is not None:
                rows = layer_by_input @ below.hidden(by_state[-1].mT).mT
                layer_by_input = layer_by_input @ below.hidden(by_input[-1].mT).mT
            rows[..., place] += layer_by_state
            by_state.append(rows)
            by_input.append(layer_by_input)
            below = cell
        return torch.cat(by_state, dim=-2), torch.cat(by_input, dim=-2)

    # --- many steps -----------------------------------------------------------------------------

    def scan(
        self, inputs: Float[Tensor, "time *batch input"], state: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "time+1 *batch state"]:
        """All states, layer by layer."""
        states = []
        for cell, part in zip(self.layers, self.parts(state), strict=True):
            states.append(cell.scan(inputs, part))
            inputs = cell.hidden(states[-1][1:])
        return states[0] if len(states) == 1 else torch.cat(states, dim=-1)

    def outputs(
        self, inputs: Float[Tensor, "time *batch input"], state: Float[Tensor, "*batch state"]
    ) -> tuple[Float[Tensor, "time *batch hidden"], Float[Tensor, "*batch state"]]:
        """h_t of the last layer, and the last states of all layers."""
        last = []
        for cell, part in zip(self.layers, self.parts(state), strict=True):
            inputs, after = cell.outputs(inputs, part)
            last.append(after)
        return inputs, last[0] if len(last) == 1 else torch.cat(last, dim=-1)

    def linearise(
        self,
        x: Float[Tensor, "time *batch input"],
        s_prev: Float[Tensor, "time *batch state"],
        s: Float[Tensor, "time *batch state"],
    ) -> Linearisation:
        """The derivative of these steps, layer by layer."""
        states = zip(self.parts(s_prev), self.parts(s), strict=True)
        names = zip(self.places, self.suffixes, strict=True)
        layers = zip(self.layers, self._inputs_of_layers(x, s), states, names, strict=True)
        return StackLinearisation(
            [
                Layer(cell.linearise(inputs, before, after), place, cell.hidden, suffix)
                for cell, inputs, (before, after), (place, suffix) in layers
            ]
        )


def _to_torch_names(
    module: nn.Module, state_dict: dict[str, Tensor], prefix: str, metadata: object
) -> None:
    """Rename ``cells.0.weight_ih`` to ``weight_ih_l0`` and so on."""
    for key in [key for key in state_dict if key.startswith(f"{prefix}cells.")]:
        layer, name = key.removeprefix(f"{prefix}cells.").split(".", 1)
        state_dict[f"{prefix}{name}_l{layer}"] = state_dict.pop(key)


def _from_torch_names(
    module: nn.Module, state_dict: dict[str, Tensor], prefix: str, *rest: object
) -> None:
    """Rename ``weight_ih_l0`` to ``cells.0.weight_ih`` and so on."""
    cells = f"{prefix}cells."
    for key in [k for k in state_dict if k.startswith(prefix) and not k.startswith(cells)]:
        name, marker, layer = key.removeprefix(prefix).rpartition("_l")
        if marker and layer.isdigit():
            state_dict[f"{cells}{layer}.{name}"] = state_dict.pop(key)
        elif "." not in key.removeprefix(prefix):  # names of a single cell go to the first layer
            state_dict[f"{cells}0.{key.removeprefix(prefix)}"] = state_dict.pop(key)
