"""The linearisation of stacked layers, from the linearisations of the layers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.linearisation import Linearisation


class Layer(NamedTuple):
    """One layer of a stack.

    Attributes:
        linear: its linearisation.
        place: where its state lies in the state of the stack.
        hidden: takes the hidden part of its state, which the layer above reads.
        suffix: the suffix of its gates' names, such as ``_l1``; "" for a single layer.
    """

    linear: Linearisation
    place: slice
    hidden: Callable[[Tensor], Tensor]
    suffix: str


class StackLinearisation(Linearisation):
    """Joins the layers: within a step, a layer's input is the hidden part of the layer below."""

    def __init__(self, layers: Sequence[Layer]):
        self.layers = layers

    def _arriving(self, cotangent: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """(what arrives at the state of each layer, J^T of that, what arrives at the input)."""
        arriving = [cotangent[..., layer.place] for layer in self.layers]
        carried: list[Tensor] = []
        received = cotangent
        for index in range(len(self.layers) - 1, -1, -1):
            by_state, received = self.layers[index].linear.vjp(arriving[index])
            carried.insert(0, by_state)
            if index:
                below = arriving[index - 1].clone()
                self.layers[index - 1].hidden(below).add_(received)
                arriving[index - 1] = below
        return arriving, carried, received

    def vjp(
        self, cotangent: Float[Tensor, "time *batch state"]
    ) -> tuple[Float[Tensor, "time *batch state"], Float[Tensor, "time *batch input"]]:
        """By layer, the top one first."""
        _, carried, received = self._arriving(cotangent)
        return torch.cat(carried, dim=-1), received

    def jvp(
        self,
        tangent: Float[Tensor, "time *batch state"],
        by_input: Float[Tensor, "time *batch input"] | None = None,
    ) -> Float[Tensor, "time *batch state"]:
        """By layer, the bottom one first; its hidden part moves the input of the next one."""
        after: list[Tensor] = []
        for layer in self.layers:
            after.append(layer.linear.jvp(tangent[..., layer.place], by_input))
            by_input = layer.hidden(after[-1])
        return torch.cat(after, dim=-1)

    def prepare(self) -> None:
        """Layer by layer."""
        for layer in self.layers:
            layer.linear.prepare()

    def backpropagate(
        self,
        adjoints: Float[Tensor, "times *batch state"],
        by_input: Float[Tensor, "times-1 *batch input"],
    ) -> None:
        """The adjoint recursion by layer, the top one first.

        What the input of a layer receives is added to the layer below. Layers are coordinates of
        one state, side by side: the path from s^l_t to s^{l+1}_t within a step belongs to the
        Jacobian of the step, not to dL/ds^l_t.
        """
        if len(self.layers) == 1:
            self.layers[0].linear.backpropagate(adjoints, by_input)
            return
        received: Tensor | None = None
        for index in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[index]
            immediate = adjoints[..., layer.place]
            total = immediate.clone(memory_format=torch.contiguous_format)
            if received is not None:
                layer.hidden(total)[1:].add_(received)
            below = self.layers[index - 1]
            received = (
                torch.empty_like(below.hidden(adjoints[1:, :, below.place])) if index else by_input
            )
            layer.linear.backpropagate(total, received)
            if index == len(self.layers) - 1:
                immediate.copy_(total)
            else:
                immediate[:-1] += layer.linear.vjp(total[1:])[0]

    def vjp_by_gate(
        self, cotangent: Float[Tensor, "time *batch state"]
    ) -> dict[str, Float[Tensor, "time *batch state"]]:
        """The gates of all layers, named ``i_l0``, ...; a single layer's keep their names."""
        arriving, _, _ = self._arriving(cotangent)
        ways: dict[str, Tensor] = {}
        for layer, of_layer in zip(self.layers, arriving, strict=True):
            for name, value in layer.linear.vjp_by_gate(of_layer).items():
                ways[name + layer.suffix] = torch.zeros_like(cotangent)
                ways[name + layer.suffix][..., layer.place] = value
        return ways

    def by_parameters(
        self,
        cotangent: Float[Tensor, "time *batch state"],
        names: Collection[str] | None = None,
    ) -> dict[str, Tensor]:
        """The parameters of all layers, named as in the stack: ``cells.0.weight_hh``."""
        arriving = [cotangent] if len(self.layers) == 1 else self._arriving(cotangent)[0]
        gradients: dict[str, Tensor] = {}
        for index, (layer, of_layer) in enumerate(zip(self.layers, arriving, strict=True)):
            prefix = f"cells.{index}."
            inner = None
            if names is not None:
                inner = {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
            if inner is None or inner:
                by_name = layer.linear.by_parameters(of_layer, inner)
                gradients |= {prefix + name: value for name, value in by_name.items()}
        return gradients

    def at(self, steps: slice) -> StackLinearisation:
        """The same for some of the steps."""
        return StackLinearisation(
            [layer._replace(linear=layer.linear.at(steps)) for layer in self.layers]
        )
