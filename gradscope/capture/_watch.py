"""What every kind of recurrence has in common while it is watched."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from gradscope.capture._forward import Onlooker, watch_forward
from gradscope.capture._place import Place
from gradscope.dynamics.trace import Trace

_M = TypeVar("_M", bound=nn.Module)

#: arguments of a call by position and by name
Args = tuple[object, ...]
Kwargs = dict[str, object]


class Recorded(NamedTuple):
    """One recurrence that was recorded.

    Attributes:
        place: where it runs.
        trace: what was recorded.
        carried: whether it begins in a state that came, detached, from an earlier step.
        module: that it is part of; None where that is the one watched.
        kind: what the reader should take it for, where it was found without being told.
    """

    place: Place
    trace: Trace
    carried: bool = False
    module: nn.Module | None = None
    kind: str = ""


@dataclass
class Harvest:
    """What one place in a model left after a recorded block.

    Attributes:
        recorded: one for each layer, direction and unbroken chain of steps.
        notes: what the reader should know of them, such as a state that was cut off between two
            calls.
        unseen: what was found and could not be recorded, to why.
    """

    recorded: list[Recorded] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unseen: dict[str, str] = field(default_factory=dict)


class Watch(ABC):
    """One place in a model, watched during one recorded block.

    Hooks see tensors and return nothing: the graph, the random numbers and every bit of the
    training stay as they are.

    Args:
        name: of the module in the model.
        module: that is watched.

    Attributes:
        place: the module as a place.
        hooks: takes every hook off again when the block ends.
        onlooker: keeps what goes wrong while the model runs.
        arriving: everywhere that a gradient may arrive.
    """

    #: whether there may be nothing to be seen
    optional: ClassVar[bool] = False

    def __init__(self, name: str, module: nn.Module):
        self.name, self.module = name, module
        self.place = Place(name, type(module).__name__.lower())
        self.hooks = ExitStack()
        self.onlooker = Onlooker()
        self.arriving: list[Received] = []

    def install(self, hooks: ExitStack) -> None:
        """Begin to watch; closing ``hooks`` ends it."""
        self.hooks = hooks
        self.put_hooks()

    @abstractmethod
    def put_hooks(self) -> None:
        """Put hooks on the module, or on those within it."""

    @abstractmethod
    def harvest(self) -> Harvest:
        """What was seen, taken apart after the block."""

    def hook(
        self,
        module: nn.Module,
        after: Callable[..., object],
        before: Callable[..., object] | None = None,
        failed: Callable[..., object] | None = None,
    ) -> None:
        """Call ``before`` and ``after`` around every forward pass; ``failed`` where it raises."""
        watch_forward(module, self.onlooker, before, after, self.hooks, failed)

    def receive(self, tensor: Tensor, edge: GradientEdge | None = None) -> Received:
        """Watch the gradient that arrives at a tensor, or at what it was."""
        received = Received(tensor, self.hooks, edge)
        self.arriving.append(received)
        return received

    def unscale(self, scale: float) -> None:
        """Take a loss's scale out of every gradient that arrived."""
        for received in self.arriving:
            if received.value is not None:
                value = received.value
                received.value = value.to(torch.promote_types(value.dtype, torch.float32)) / scale


class Received:
    """The gradient that arrives at a tensor, summed over backward passes; None until there is one.

    While ``unheard()`` is open the gradients are our own, and are not counted.

    Args:
        tensor: that is watched.
        hooks: takes the hook off again.
        edge: where it was in the graph, if it was changed in place since.
    """

    _own: ClassVar[int] = 0

    def __init__(self, tensor: Tensor, hooks: ExitStack, edge: GradientEdge | None = None):
        self.value: Tensor | None = None
        self.passes = 0
        if tensor.grad_fn is not None:  # after hooks of the model's own, which may change it
            found = edge or get_gradient_edge(tensor)
            place = found.output_nr
            handle = found.node.register_prehook(lambda gradients: self._add(gradients[place]))
            hooks.callback(handle.remove)
        elif tensor.requires_grad:
            hooks.callback(tensor.register_hook(self._add).remove)

    def _add(self, gradient: Tensor | None) -> None:
        # None: of an operation that gives several outputs, one that no loss hears
        if gradient is None or Received._own:
            return
        self.passes += 1
        # a copy: autograd may go on adding to the tensor that it hands out
        self.value = (
            gradient.detach().clone() if self.value is None else self.value + gradient.detach()
        )

    @classmethod
    def is_unheard(cls) -> bool:
        """Whether gradients are taken that are not the model's."""
        return cls._own > 0

    @classmethod
    @contextmanager
    def unheard(cls) -> Iterator[None]:
        """Take gradients that are not the model's."""
        Received._own += 1
        try:
            yield
        finally:
            Received._own -= 1

    def or_zero(self, like: Tensor) -> Tensor:
        """The gradient; zero where none arrived."""
        return torch.zeros_like(like) if self.value is None else self.value


class Mark(NamedTuple):
    """What tells a tensor from any other while it lives: its identity, version, and more."""

    identity: int
    version: int
    requires_grad: bool


def marks(tensors: Iterable[Tensor]) -> tuple[Mark, ...]:
    """The mark of each tensor."""
    return tuple(Mark(id(tensor), tensor._version, tensor.requires_grad) for tensor in tensors)


def versions(module: nn.Module) -> tuple[Mark, ...]:
    """Marks that change whenever a parameter of the module is replaced or changed in place."""
    return marks(module.parameters())


def bare_copy(module: _M) -> _M:
    """A copy without the hooks that are on it, so that running it runs nobody else's code."""
    names = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    hooks = [getattr(inner, name) for inner in module.modules() for name in names]
    memo: dict[int, object] = {id(inner): type(inner)() for inner in hooks}
    for inner in module.modules():  # made of others, as by weight_norm or functional_call
        held = (*vars(inner).values(), *inner._parameters.values(), *inner._buffers.values())
        memo |= {
            id(tensor): tensor.detach().clone().requires_grad_(tensor.requires_grad)
            for tensor in held
            if isinstance(tensor, Tensor) and not tensor.is_leaf
        }
    return copy.deepcopy(module, memo)


def several_passes(place: Place, received: Iterable[Received]) -> list[str]:
    """A note where gradients of more than one backward pass were added up."""
    most = max((gradient.passes for gradient in received), default=0)
    if most < 2:
        return []
    return [
        f"{place}: gradients of {most} backward passes arrived and were added up, those of "
        "torch.autograd.grad among them"
    ]


def recomputing() -> bool:
    """Whether a backward pass is running: what is called within it is made again, for it."""
    return torch._C._current_graph_task_id() != -1


def copied(tensor: Tensor) -> Tensor:
    """A copy of its values, whatever is done to it in place later."""
    return tensor.detach().clone()


def full_precision(module: _M) -> _M:
    """The module in float32 at least, in which a gradient can be looked at."""
    half = any(p.dtype in (torch.float16, torch.bfloat16) for p in module.parameters())
    return module.float() if half else module


def without_rounding(gradient: Tensor, whole: Tensor) -> Tensor:
    """``gradient``, a difference of terms as large as ``whole``, zero where only rounding is left.

    Shapes (..., state); what counts is the norm over the last axis.
    """
    size = torch.linalg.vector_norm(whole, dim=-1, keepdim=True)
    left = torch.linalg.vector_norm(gradient, dim=-1, keepdim=True)
    kept = left > 32 * torch.finfo(gradient.dtype).eps * size
    return torch.where(kept, gradient, torch.zeros_like(gradient))
