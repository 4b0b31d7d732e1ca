"""Layers of cells as one cell."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from gradscope.cells._cell import Cell, Gate
from gradscope.dynamics.linearisation import Linearisation
from gradscope.errors import GradscopeError


class Stack(Cell):
    """s_t = [s_t^1, ..., s_t^L], each layer reading the hidden part of the one below at the same
    step.

    A stack is a cell: its state is all layers' states in one tensor, its Jacobian block lower
    triangular over the layers, and whatever works on a cell works on it. ``hidden`` is the last
    layer's. Its state dict has torch.nn's names (``weight_ih_l0``, ``weight_ih_l1``, ...) where its
    cells have torch's parameters, so that weights go both ways.
    """

    def __init__(self, cells: Sequence[Cell]):
        if not cells:
            raise GradscopeError("a stack needs at least one cell")
        for below, above in pairwise(cells):
            if above.input_size != below.hidden_size:
                raise GradscopeError(
                    f"a layer reads {above.input_size} inputs, the one below gives"
                    f" {below.hidden_size}"
                )
        super().__init__(cells[0].input_size, cells[-1].hidden_size)
        self.cells = nn.ModuleList(cells)
        self.register_state_dict_post_hook(_to_torch_names)
        self.register_load_state_dict_pre_hook(_from_torch_names)

    @property
    def state_size(self) -> int:
        """Sum of the layers' state sizes."""
        return sum(cell.state_size for cell in self.layers)

    @property
    def layers(self) -> list[Cell]:
        """The cells, bottom up."""
        return list(self.cells)  # type: ignore[arg-type]

    @property
    def blocks(self) -> dict[str, slice]:
        """The parts of the state: ``h``, ``c`` for one layer; ``h_l0``, ``h_l1``, ... for more."""
        if len(self.cells) == 1:
            return self.layers[0].blocks
        return {
            f"{name}_l{layer}": slice(part.start + block.start, part.start + block.stop)
            for layer, (cell, part) in enumerate(zip(self.layers, self.slices, strict=True))
            for name, block in cell.blocks.items()
        }

    @property
    def slices(self) -> list[slice]:
        """Where each layer's state lies in the stack's."""
        ends = torch.tensor([cell.state_size for cell in self.layers]).cumsum(0).tolist()
        return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]

    def parts(self, s: Float[Tensor, "*any state"]) -> tuple[Tensor, ...]:
        """The layers' states."""
        return s.split([cell.state_size for cell in self.layers], dim=-1)

    def hidden(self, s: Float[Tensor, "*any state"]) -> Float[Tensor, "*any hidden"]:
        """h of the last layer."""
        return self.layers[-1].hidden(self.parts(s)[-1])

    def forward(
        self, x: Float[Tensor, "*batch input"], s: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """One step of every layer, bottom up."""
        after = []
        for cell, part in zip(self.layers, self.parts(s), strict=True):
            after.append(cell(x, part))
            x = cell.hidden(after[-1])
        return after[0] if len(after) == 1 else torch.cat(after, dim=-1)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw every layer's weights anew."""
        for cell in self.layers:
            cell.reset_parameters(generator)

    def _inputs_of_layers(self, x: Tensor, s: Tensor) -> list[Tensor]:
        return [
            x,
            *(
                cell.hidden(part)
                for cell, part in zip(self.layers[:-1], self.parts(s)[:-1], strict=True)
            ),
        ]

    def gates(
        self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Gate]:
        """The layers' gates; with more than one layer their names carry ``_l0``, ``_l1``, ..."""
        found: dict[str, Gate] = {}
        for layer, (cell, part) in enumerate(zip(self.layers, self.parts(s_prev), strict=True)):
            suffix = f"_l{layer}" if len(self.cells) > 1 else ""
            found |= {name + suffix: gate for name, gate in cell.gates(x, part).items()}
            x = cell.hidden(cell(x, part))
        return found

    def recurrent_matrices(self) -> dict[str, Tensor]:
        """The layers' recurrent matrices, named as the gates are."""
        return {
            name + (f"_l{layer}" if len(self.cells) > 1 else ""): matrix
            for layer, cell in enumerate(self.layers)
            for name, matrix in cell.recurrent_matrices().items()
        }

    @torch.no_grad()
    def jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state state"]:
        """Row of layer l: (ds^l/dx^l) P (row of layer l-1) + J^l on the diagonal, P taking the
        hidden part.
        """
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
        by_state, by_input = [], []
        below: Cell | None = None
        layers = zip(
            self.layers,
            self._inputs_of_layers(x, s),
            self.parts(s_prev),
            self.parts(s),
            self.slices,
            strict=True,
        )
        for cell, inputs, before, after, place in layers:
            through = cell.input_jacobian(inputs, before, after)
            own = cell.jacobian(inputs, before, after)
            row = own.new_zeros(*own.shape[:-1], self.state_size)
            if below is not None:
                row = through @ below.hidden(by_state[-1].mT).mT
                through = through @ below.hidden(by_input[-1].mT).mT
            row[..., place] += own
            by_state.append(row)
            by_input.append(through)
            below = cell
        return torch.cat(by_state, dim=-2), torch.cat(by_input, dim=-2)

    def scan(
        self, inputs: Float[Tensor, "time batch input"], state: Float[Tensor, "batch state"]
    ) -> Float[Tensor, "time+1 batch state"]:
        """All states, layer by layer."""
        states = []
        for cell, part in zip(self.layers, self.parts(state), strict=True):
            states.append(cell.scan(inputs, part))
            inputs = cell.hidden(states[-1][1:])
        return states[0] if len(states) == 1 else torch.cat(states, dim=-1)

    def outputs(
        self, inputs: Float[Tensor, "time batch input"], state: Float[Tensor, "batch state"]
    ) -> tuple[Float[Tensor, "time batch hidden"], Float[Tensor, "batch state"]]:
        """The last layer's h_t and all layers' last states."""
        last = []
        for cell, part in zip(self.layers, self.parts(state), strict=True):
            inputs, after = cell.outputs(inputs, part)
            last.append(after)
        return inputs, last[0] if len(last) == 1 else torch.cat(last, dim=-1)

    def pullback(
        self,
        inputs: Float[Tensor, "time batch input"],
        states: Float[Tensor, "time+1 batch state"],
        immediate: Float[Tensor, "time+1 batch state"],
    ) -> tuple[Tensor, Tensor]:
        """The adjoint recursion, top layer first: what a layer's input receives joins the layer
        below.

        As coordinates of one state, layers stand side by side: the path from s^l_t up to s^{l+1}_t
        within a step belongs to the step's Jacobian, not to dL/ds^l_t.
        """
        inputs_of, befores, afters = (
            self._inputs_of_layers(inputs, states[1:]),
            self.parts(states[:-1]),
            self.parts(states[1:]),
        )
        totals, received = [], None
        for layer in range(len(self.cells) - 1, -1, -1):
            own, cell = self.parts(immediate)[layer], self.layers[layer]
            if received is not None:
                own = own.clone()
                cell.hidden(own)[1:].add_(received)
            total, received = cell.pullback(inputs_of[layer], self.parts(states)[layer], own)
            if layer < len(self.cells) - 1:
                carried, _ = cell.vjp(inputs_of[layer], befores[layer], afters[layer], total[1:])
                total = self.parts(immediate)[layer].clone()
                total[:-1] += carried
            totals.append(total)
        assert received is not None
        return torch.cat(totals[::-1], dim=-1), received

    def linearise(
        self,
        x: Float[Tensor, "time batch input"],
        s_prev: Float[Tensor, "time batch state"],
        s: Float[Tensor, "time batch state"],
    ) -> Linearisation:
        """As ``Cell.linearise``, layer by layer."""
        parts = zip(
            self.layers,
            self._inputs_of_layers(x, s),
            self.parts(s_prev),
            self.parts(s),
            strict=True,
        )
        return StackLinearisation(
            self, [cell.linearise(inputs, before, after) for cell, inputs, before, after in parts]
        )


class StackLinearisation(Linearisation):
    """Of its layers': within a step a layer's input is the hidden part of the layer below."""

    def __init__(self, stack: Stack, layers: Sequence[Linearisation]):
        self.stack, self.layers = stack, layers

    def _totals(self, cotangent: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """By layer, bottom up: what arrives at its state, and J^T of that; then what arrives at the
        stack's input.
        """
        arriving, carried = list(self.stack.parts(cotangent)), []
        received = cotangent
        for index in range(len(self.layers) - 1, -1, -1):
            by_state, received = self.layers[index].vjp(arriving[index])
            carried.insert(0, by_state)
            if index:
                below = arriving[index - 1].clone()
                self.stack.layers[index - 1].hidden(below).add_(received)
                arriving[index - 1] = below
        return arriving, carried, received

    def vjp(self, cotangent: Float[Tensor, "time batch state"]) -> tuple[Tensor, Tensor]:
        """Top layer first."""
        _, carried, received = self._totals(cotangent)
        return torch.cat(carried, dim=-1), received

    def jvp(
        self,
        tangent: Float[Tensor, "time batch state"],
        by_input: Float[Tensor, "time batch input"] | None = None,
    ) -> Float[Tensor, "time batch state"]:
        """Bottom layer first: as its hidden part moves, so does the next layer's input."""
        after: list[Tensor] = []
        for cell, layer, own in zip(
            self.stack.layers, self.layers, self.stack.parts(tangent), strict=True
        ):
            after.append(layer.jvp(own, by_input))
            by_input = cell.hidden(after[-1])
        return torch.cat(after, dim=-1)

    def vjp_by_gate(
        self, cotangent: Float[Tensor, "time batch state"]
    ) -> dict[str, Float[Tensor, "time batch state"]]:
        """The layers' gates, named ``i_l0``, ...; with one layer as the layer names them."""
        arriving, _, _ = self._totals(cotangent)
        found: dict[str, Tensor] = {}
        suffixes = [
            f"_l{index}" if len(self.layers) > 1 else "" for index in range(len(self.layers))
        ]
        for layer, own, place, suffix in zip(
            self.layers, arriving, self.stack.slices, suffixes, strict=True
        ):
            for name, value in layer.vjp_by_gate(own).items():
                found[name + suffix] = torch.zeros_like(cotangent)
                found[name + suffix][..., place] = value
        return found

    def by_parameters(
        self, cotangent: Float[Tensor, "time batch state"], names: Collection[str] | None = None
    ) -> dict[str, Tensor]:
        """Names carry the layer as in the stack's own parameters: ``cells.0.weight_hh``."""
        arriving = [cotangent] if len(self.layers) == 1 else self._totals(cotangent)[0]
        found: dict[str, Tensor] = {}
        for index, (layer, own) in enumerate(zip(self.layers, arriving, strict=True)):
            prefix = f"cells.{index}."
            inner = (
                None
                if names is None
                else {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
            )
            if inner is None or inner:
                found |= {
                    prefix + name: value for name, value in layer.by_parameters(own, inner).items()
                }
        return found

    def at(self, steps: slice) -> StackLinearisation:
        """Of these steps."""
        return StackLinearisation(self.stack, [layer.at(steps) for layer in self.layers])


def _to_torch_names(
    module: nn.Module, state_dict: dict[str, Any], prefix: str, metadata: Any
) -> None:
    for key in [key for key in state_dict if key.startswith(f"{prefix}cells.")]:
        layer, name = key.removeprefix(f"{prefix}cells.").split(".", 1)
        state_dict[f"{prefix}{name}_l{layer}"] = state_dict.pop(key)


def _from_torch_names(
    module: nn.Module, state_dict: dict[str, Any], prefix: str, *rest: object
) -> None:
    for key in [
        key
        for key in state_dict
        if key.startswith(prefix) and not key.startswith(f"{prefix}cells.")
    ]:
        name, marker, layer = key.removeprefix(prefix).rpartition("_l")
        if marker and layer.isdigit():
            state_dict[f"{prefix}cells.{layer}.{name}"] = state_dict.pop(key)
        elif "." not in key.removeprefix(prefix):  # a single cell's own names, for the first layer
            state_dict[f"{prefix}cells.0.{key.removeprefix(prefix)}"] = state_dict.pop(key)
