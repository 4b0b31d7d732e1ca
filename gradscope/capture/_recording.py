"""Recording: what one recorded block left; and the parameters' gradients in it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from gradscope.cells import Stack
from gradscope.components.registry import suggest
from gradscope.dynamics import Adjoints
from gradscope.dynamics.trace import Trace
from gradscope.errors import GradscopeError


@dataclass
class Recording:
    """What one recorded block left.

    Attributes:
        train_step: number of the block among all that the scope went through, or the caller's own.
        traces: name of the recurrence to its ``Trace``; every function of ``gradscope.dynamics``
            takes one. Names are the module's, then the layer and direction as torch has them:
            ``encoder.lstm.l1_reverse``.
        notes: what the reader should know, such as a state that was cut off between two calls.
        carried: names of the traces that begin in a state which came, detached, from an earlier
            step.
        gradients: parameter to (number of elements, gradient norm after backward, norm at the
            optimiser's step); the last is NaN where no optimiser stepped within the block.
        updates: parameter to ||change|| / ||value|| of the optimiser's step within the block.
        nonfinite: recurrence to the first step whose state is not finite.
        modules: recurrence to the module that it is part of.
        places: recurrence to that module's name.
    """

    train_step: int
    traces: dict[str, Trace] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    carried: set[str] = field(default_factory=set)
    gradients: dict[str, tuple[int, float, float]] = field(default_factory=dict)
    updates: dict[str, float] = field(default_factory=dict)
    nonfinite: dict[str, int] = field(default_factory=dict)
    modules: dict[str, nn.Module] = field(default_factory=dict, repr=False)
    places: dict[str, str] = field(default_factory=dict)

    def trace(self, name: str) -> Trace:
        """The trace of one recurrence.

        Raises:
            GradscopeError: for a name that was not recorded; the message lists those that were.
        """
        if name not in self.traces:
            raise GradscopeError(
                f"nothing was recorded as {name!r}; {suggest(name, list(self.traces))}"
            )
        return self.traces[name]

    def stack(self, name: str) -> Trace:
        """All layers of a module as one recurrence, whose state is all layers' states: d(every
        layer)/d(every layer).

        For a unidirectional module without dropout between its layers, or sequences of several
        lengths.

        Raises:
            GradscopeError: if there is no such module.
        """
        layers = [
            trace
            for key, trace in self.traces.items()
            if key.rpartition(".")[0] == name or key == name
        ]
        cells = [trace.cell for trace in layers]
        whole = cells and all(
            above.input_size == below.hidden_size for below, above in pairwise(cells)
        )
        same = whole and all(
            torch.equal(above.inputs, below.cell.hidden(below.states[1:]))
            for below, above in pairwise(layers)
        )
        if not same:
            raise GradscopeError(
                f"{name!r} is not one recurrence of stacked layers (bidirectional, with dropout"
                " between layers, with sequences of several lengths, or unknown); its parts are"
                f" there: {', '.join(self.traces)}"
            )
        states = torch.cat([trace.states.detach() for trace in layers], dim=-1).requires_grad_()
        if any(trace.immediate is None for trace in layers):
            return Trace(Stack(cells), layers[0].inputs, states)
        values = [trace.immediate.values().to(states.dtype) for trace in layers]
        for index, above in enumerate(
            layers[1:]
        ):  # what came down from the layer above is a path within the stack
            from_above = above.cache["adjoints"].by_input.values().to(states.dtype)
            part = layers[index].cell.hidden(values[index])[1:]
            part -= from_above
            part[part.abs() <= 32 * torch.finfo(part.dtype).eps * from_above.abs()] = 0
        immediate = torch.cat(values, dim=-1)
        scale = torch.zeros(immediate.shape[:2], dtype=torch.float64, device=immediate.device)
        return Trace(Stack(cells), layers[0].inputs, states, immediate=Adjoints(immediate, scale))


class Gradients:
    """The parameters' gradient norms: after backward, and when an optimiser steps; and how far it
    steps.
    """

    def __init__(self, model: nn.Module):
        self.named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.of = {id(p): name for name, p in self.named.items()}
        self.before: dict[str, Tensor] = {}
        self.after: dict[str, Tensor] = {}
        self.values: dict[str, Tensor] = {}
        self.changes: dict[str, Tensor] = {}

    def install(self, hooks: ExitStack) -> None:
        for name, parameter in self.named.items():
            if parameter.is_leaf:
                handle = parameter.register_post_accumulate_grad_hook(
                    lambda p, name=name: self._arrived(name, p)
                )
                hooks.callback(handle.remove)
        hooks.callback(register_optimizer_step_pre_hook(self._stepping).remove)
        hooks.callback(register_optimizer_step_post_hook(self._stepped).remove)

    def _arrived(self, name: str, parameter: Tensor) -> None:
        assert parameter.grad is not None
        self.before[name] = _norm(parameter.grad)

    def _mine(self, optimizer: Any) -> dict[str, Tensor]:
        parameters = (p for group in optimizer.param_groups for p in group["params"])
        return {self.of[id(p)]: p for p in parameters if id(p) in self.of}

    def _stepping(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        for name, parameter in self._mine(optimizer).items():
            if parameter.grad is not None and name not in self.after:
                self.after[name] = _norm(parameter.grad)
                self.values[name] = parameter.detach().clone()

    def _stepped(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        for name, parameter in self._mine(optimizer).items():
            if (value := self.values.pop(name, None)) is not None:
                size = _norm(value)
                self.changes[name] = torch.where(
                    size > 0, _norm(parameter.detach() - value) / size, torch.zeros_like(size)
                )

    def norms(self) -> dict[str, tuple[int, float, float]]:
        nan = float("nan")
        return {
            name: (
                self.named[name].numel(),
                float(value),
                float(self.after[name]) if name in self.after else nan,
            )
            for name, value in self.before.items()
        }

    def ratios(self) -> dict[str, float]:
        return {name: float(value) for name, value in self.changes.items()}


def _norm(x: Tensor) -> Tensor:
    x = x.detach()
    return torch.linalg.vector_norm(x.coalesce().values() if x.is_sparse else x)
