"""What arrives at the parameters during backward, and when an optimiser steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from gradscope.capture._forward import Onlooker

#: has a function called when the backward pass that is running is over
_queue = torch.autograd.Variable._execution_engine.queue_callback
#: the least scale that a loss scaler of one's own is recognised by
_LEAST_SCALE = 2.0**7


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


class _Update(NamedTuple):
    """One parameter's gradient norm after backward and at the step of its optimiser."""

    before: Tensor
    after: Tensor


class GradientWatch:
    """Sees the gradient norms of a model's parameters, and how far an optimiser steps.

    Where an optimiser steps several times in a block, its first step counts: norms before and after
    the clip are those of one update. A step with a closure is read after the closure has run.

    Args:
        model: whose parameters are watched.

    Attributes:
        onlooker: keeps what goes wrong from the training.
        scale: that the loss was multiplied by, by a GradScaler; 1 without one.
    """

    def __init__(self, model: nn.Module):
        self.named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.name_of = {id(p): name for name, p in self.named.items()}
        self.onlooker = Onlooker()
        self.scale = 1.0
        self._arrived: dict[str, Tensor] = {}
        self._awaited: dict[str, Tensor] = {}
        self._updates: dict[str, _Update] = {}
        self._values: dict[str, Tensor] = {}
        self._changes: dict[str, Tensor] = {}
        self._stepped = False

    def install(self, hooks: ExitStack) -> None:
        """Look at every parameter and at any optimiser; ``hooks`` ends it."""
        for name, parameter in self.named.items():
            if parameter.is_leaf:

                def arrived(p: Tensor, name: str = name) -> None:
                    self.onlooker.look(self._arrive, name, p)

                hooks.callback(parameter.register_post_accumulate_grad_hook(arrived).remove)
        hooks.callback(register_optimizer_step_pre_hook(self._before_step).remove)
        hooks.callback(register_optimizer_step_post_hook(self._after_step).remove)
        for scaler in _scalers():
            self._watch_scaler(scaler, hooks)

    def _watch_scaler(self, scaler: type[GradScaler], hooks: ExitStack) -> None:
        """Learn the scale of a loss from the one who scales it."""
        scale = scaler.scale

        def seen(this: GradScaler, outputs: object) -> object:
            scaled = scale(this, outputs)  # pyright: ignore[reportArgumentType, reportCallIssue]
            if this.is_enabled():
                self.onlooker.look(self._scaled, this)
            return scaled

        scaler.scale = seen  # pyright: ignore[reportAttributeAccessIssue]  # until the block ends
        hooks.callback(setattr, scaler, "scale", scale)

    def _scaled(self, scaler: GradScaler) -> None:
        self.scale = float(scaler.get_scale())

    def _arrive(self, name: str, parameter: Tensor) -> None:
        if not self._awaited:
            _queue(partial(_queue, self._at_end))
        self._awaited[name] = parameter

    def _at_end(self) -> None:
        self.onlooker.look(self._read)

    def _read(self) -> None:
        """The norms, when the backward pass is over and ranks have added up theirs.

        What adds them up is called at the end as well, and so before what is called after it.
        """
        for name, parameter in self._awaited.items():
            if parameter.grad is not None:  # another hook may have stepped with it, and dropped it
                self._arrived[name] = _norm(parameter.grad) / self.scale
        self._awaited.clear()

    def _before_step(
        self, optimizer: Optimizer, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> tuple[tuple[object, ...], dict[str, object]] | None:
        self.onlooker.look(self._keep_values, optimizer)
        named = callable(kwargs.get("closure"))
        closure = kwargs.get("closure") if named else next(iter(args[1:]), None)
        if not callable(closure):
            self.onlooker.look(self._step, optimizer)
            return None
        seen = self._seen_closure(closure, optimizer)
        if named:
            return args, {**kwargs, "closure": seen}
        return (args[0], seen, *args[2:]), kwargs

    def _seen_closure(
        self, closure: Callable[[], object], optimizer: Optimizer
    ) -> Callable[[], object]:
        """The closure, which makes the gradients of the step within it."""

        def seen() -> object:
            loss = closure()
            self.onlooker.look(self._step, optimizer)
            return loss

        return seen

    def _keep_values(self, optimizer: Optimizer) -> None:
        for name, parameter in self._parameters_of(optimizer):
            if name not in self._changes:
                self._values[name] = parameter.detach().clone()

    def _step(self, optimizer: Optimizer) -> None:
        self._stepped = True
        for name, parameter in self._parameters_of(optimizer):
            if parameter.grad is not None and name not in self._updates:
                after = _norm(parameter.grad)
                self._updates[name] = _Update(self._arrived.get(name, after), after)

    def _after_step(self, optimizer: Optimizer, args: object, kwargs: object) -> None:
        self.onlooker.look(self._change, optimizer)

    def _change(self, optimizer: Optimizer) -> None:
        for name, parameter in self._parameters_of(optimizer):
            value = self._values.pop(name, None)
            if value is not None and name in self._updates:
                size = _norm(value)
                self._changes[name] = torch.where(
                    size > 0, _norm(parameter.detach() - value) / size, torch.zeros_like(size)
                )

    def _parameters_of(self, optimizer: Optimizer) -> Iterator[tuple[str, Tensor]]:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if id(parameter) in self.name_of:
                    yield self.name_of[id(parameter)], parameter

    # --- afterwards -----------------------------------------------------------------------------

    def find_scale(self) -> list[str]:
        """Learn a scale that no GradScaler told of; what the reader should know of scales.

        Where every gradient was divided by the same power of two before its step, the loss had been
        multiplied by it.
        """
        notes = []
        if self.scale == 1.0 and (scale := self._common_scale()) is not None:
            self.scale = scale
            self._arrived = {name: norm / scale for name, norm in self._arrived.items()}
            self._updates = {
                name: _Update(update.before / scale, update.after)
                for name, update in self._updates.items()
            }
        if self.scale != 1.0:
            notes.append(
                f"the loss was multiplied by {self.scale:g}: gradients are shown without it"
            )
        if self.was_skipped:
            notes.append(
                f"gradients were not finite at the loss's scale of {self.scale:g}, so that its "
                "scaler left out the update and will take a smaller one"
            )
        return notes

    @property
    def was_skipped(self) -> bool:
        """Whether a loss scaler left out the update, as a gradient was not finite."""
        finite = all(math.isfinite(float(norm)) for norm in self._arrived.values())
        return self.scale != 1.0 and not self._stepped and not finite

    def _common_scale(self) -> float | None:
        factors = [
            float(update.before / update.after)
            for update in self._updates.values()
            if float(update.after) > 0 and math.isfinite(float(update.before))
        ]
        if len(factors) < 2 or min(factors) < _LEAST_SCALE:
            return None
        scale = 2.0 ** round(math.log2(factors[0]))
        return scale if all(abs(factor / scale - 1) < 1e-4 for factor in factors) else None

    def norms(self) -> dict[str, GradientNorms]:
        """The norms of every parameter that a gradient arrived at, in the model's order."""
        found: dict[str, GradientNorms] = {}
        for name, parameter in self.named.items():
            if (update := self._updates.get(name)) is not None:
                before, after = float(update.before), float(update.after)
            elif name in self._arrived:
                before, after = float(self._arrived[name]), math.nan
            else:
                continue
            found[name] = GradientNorms(parameter.numel(), before, after)
        return found

    def updates(self) -> dict[str, float]:
        """||change|| / ||value|| of the optimiser's first step, by parameter."""
        return {name: float(value) for name, value in self._changes.items()}


def _scalers() -> Iterator[type[GradScaler]]:
    """Every class that scales losses in a way of its own."""
    waiting: list[type[GradScaler]] = [GradScaler]
    while waiting:
        scaler = waiting.pop()
        waiting += scaler.__subclasses__()
        if "scale" in vars(scaler):
            yield scaler


def _norm(x: Tensor) -> Tensor:
    x = x.detach()
    if x.is_sparse:
        x = x.coalesce().values()
    # a square may be beyond single precision; not every device has double
    precise = torch.float32 if x.device.type == "mps" else torch.float64
    norm = torch.linalg.vector_norm(x, dtype=precise)
    whole = getattr(norm, "full_tensor", None)  # of a sharded parameter: the norm over all ranks
    return norm if whole is None else whole()
