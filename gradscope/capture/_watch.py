"""What every kind of recurrence has in common while it is watched: hooks that only look, and
tensors that are copied.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from gradscope.dynamics.trace import Trace

_M = TypeVar("_M", bound=nn.Module)


@dataclass
class Harvest:
    """What one place in a model left after a recorded block.

    Attributes:
        traces: name to trace, one for each layer, direction and unbroken chain of steps.
        notes: what the reader should know of them, such as a state that was cut off between two
            calls.
        carried: names of the traces that begin in a state which came, detached, from an earlier
            step.
    """

    traces: dict[str, Trace] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    carried: set[str] = field(default_factory=set)


class Watch(ABC):
    """One place in a model, watched during one recorded block. Hooks see tensors and return
    nothing: the graph, the random numbers and every bit of the training stay as they are."""

    def __init__(self, name: str, module: nn.Module):
        self.name, self.module = name, module

    @abstractmethod
    def install(self, hooks: ExitStack) -> None:
        """Put hooks on the module; ``hooks`` takes each off again."""

    @abstractmethod
    def harvest(self) -> Harvest:
        """The traces of what was seen, after the block."""

    def label(self, *parts: str) -> str:
        """The module's name and what is added to it, by dots."""
        return (
            ".".join(part for part in (self.name, *parts) if part)
            or type(self.module).__name__.lower()
        )


class Received:
    """The gradient that arrives at a tensor, summed over backward passes; None until there is one."""

    def __init__(self, tensor: Tensor, hooks: ExitStack):
        self.value: Tensor | None = None
        self.passes = 0
        if tensor.requires_grad:
            handle = tensor.register_hook(self._add)
            hooks.callback(handle.remove)

    def _add(self, gradient: Tensor | None) -> None:
        if (
            gradient is None
        ):  # one output of an operation that gives several, and not the one that the loss hears
            return
        self.passes += 1
        # a copy: autograd may go on adding to the tensor that it hands out
        self.value = (
            gradient.detach().clone() if self.value is None else self.value + gradient.detach()
        )


def hook(
    hooks: ExitStack,
    module: nn.Module,
    after: Callable[..., None],
    before: Callable[..., None] | None = None,
) -> None:
    """Call ``before`` and ``after`` around every forward pass of the module until ``hooks`` closes."""
    if before is not None:
        hooks.callback(module.register_forward_pre_hook(before, with_kwargs=True).remove)
    hooks.callback(module.register_forward_hook(after, with_kwargs=True).remove)


def bare_copy(module: _M) -> _M:
    """A copy without the hooks that are on it, so that running it again runs nobody else's code."""
    names = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    hooks = [getattr(each, name) for each in module.modules() for name in names]
    return copy.deepcopy(module, {id(each): type(each)() for each in hooks})


def several_passes(label: str, received: Iterable[Received]) -> list[str]:
    """A note where gradients of more than one backward pass were added up."""
    most = max((each.passes for each in received), default=0)
    if most < 2:
        return []
    return [
        f"{label}: gradients of {most} backward passes arrived and were added up, those of"
        " torch.autograd.grad among them"
    ]


def copied(tensor: Tensor) -> Tensor:
    """Its values as they are now, whatever is done to it in place later."""
    return tensor.detach().clone()


def full_precision(module: _M) -> _M:
    """In float32 at least: what a half-precision module does is looked at in numbers that hold a
    gradient.
    """
    half = any(p.dtype in (torch.float16, torch.bfloat16) for p in module.parameters())
    return module.float() if half else module


def without_rounding(gradient: Tensor, whole: Tensor) -> Tensor:
    """``gradient``, a difference of terms as large as ``whole``, with zero where nothing but their
    rounding is left.

    Shapes (..., state); what counts is the norm over the last axis.
    """
    size = torch.linalg.vector_norm(whole, dim=-1, keepdim=True)
    kept = (
        torch.linalg.vector_norm(gradient, dim=-1, keepdim=True)
        > 32 * torch.finfo(gradient.dtype).eps * size
    )
    return torch.where(kept, gradient, torch.zeros_like(gradient))


def versions(module: nn.Module) -> tuple[Any, ...]:
    """Changes whenever a parameter of the module is replaced or changed in place."""
    return tuple((id(p), p._version) for p in module.parameters())
