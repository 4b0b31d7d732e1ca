"""The parameters' gradients of one update: after backward, and when an optimiser steps."""

from __future__ import annotations

from contextlib import ExitStack
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)


class GradientNorms(NamedTuple):
    """The norm of one parameter's gradient, before and after a clip.

    Attributes:
        size: its number of elements.
        before: the gradient norm after backward.
        after: the norm at the optimiser's step, after any clip; NaN where no optimiser stepped.
    """

    size: int
    before: float
    after: float


class GradientWatch:
    """Sees the gradient norms of a model's parameters, and how far an optimiser steps.

    Args:
        model: whose parameters are watched.
    """

    def __init__(self, model: nn.Module):
        self.named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.name_of = {id(p): name for name, p in self.named.items()}
        self.before: dict[str, Tensor] = {}
        self.after: dict[str, Tensor] = {}
        self.values: dict[str, Tensor] = {}
        self.changes: dict[str, Tensor] = {}

    def install(self, hooks: ExitStack) -> None:
        """Look at every parameter and at any optimiser; ``hooks`` ends it."""
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

    def _stepping(self, optimizer: Optimizer, args: object, kwargs: object) -> None:
        for name, parameter in self._parameters_of(optimizer).items():
            if parameter.grad is not None and name not in self.after:
                self.after[name] = _norm(parameter.grad)
                self.values[name] = parameter.detach().clone()

    def _stepped(self, optimizer: Optimizer, args: object, kwargs: object) -> None:
        for name, parameter in self._parameters_of(optimizer).items():
            if (value := self.values.pop(name, None)) is not None:
                size = _norm(value)
                self.changes[name] = torch.where(
                    size > 0, _norm(parameter.detach() - value) / size, torch.zeros_like(size)
                )

    def _parameters_of(self, optimizer: Optimizer) -> dict[str, Tensor]:
        parameters = (p for group in optimizer.param_groups for p in group["params"])
        return {self.name_of[id(p)]: p for p in parameters if id(p) in self.name_of}

    def norms(self) -> dict[str, GradientNorms]:
        """The norms of every parameter that a gradient arrived at."""
        nan = float("nan")
        return {
            name: GradientNorms(
                self.named[name].numel(),
                float(value),
                float(self.after[name]) if name in self.after else nan,
            )
            for name, value in self.before.items()
        }

    def updates(self) -> dict[str, float]:
        """||change|| / ||value|| of the optimiser's step, by parameter."""
        return {name: float(value) for name, value in self.changes.items()}


def _norm(x: Tensor) -> Tensor:
    x = x.detach()
    return torch.linalg.vector_norm(x.coalesce().values() if x.is_sparse else x)
