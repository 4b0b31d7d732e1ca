"""Kernel: a library's function that runs a whole recurrence, told by its name and arguments."""

from __future__ import annotations

import copy
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gradscope.dynamics import MatrixRecurrence, Transitions
from gradscope.errors import GradscopeError

#: what a kernel's output is made of what is read of the state: (batch, time, head, value) -> output
Tail = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class KernelCall:
    """What one call of a kernel computes: S_t = A_t S_{t-1} + k_t v_t^T, and its output.

    Tensors are batch-first, as these kernels have them.

    Attributes:
        log_diagonal: ln of A_t's diagonal, of a head or of each key.
        key: k_t, with the write strength in it.
        value: v_t.
        query: q_t, with its scale in it.
        left: of A_t's low rank; None where it is diagonal.
        right: likewise.
        start: S_0; None is zero.
        begins: where a sequence begins after another, of which it knows nothing; None is nowhere.
        reads_before: whether what is read at t is the state before the update.
        tail: what is made of the reads; None leaves them as they are.
    """

    log_diagonal: Float[Tensor, "batch time head axis"]
    key: Float[Tensor, "batch time head key"]
    value: Float[Tensor, "batch time head value"]
    query: Float[Tensor, "batch time head key"]
    left: Float[Tensor, "batch time head key rank"] | None = None
    right: Float[Tensor, "batch time head key rank"] | None = None
    start: Float[Tensor, "batch head key value"] | None = None
    begins: Bool[Tensor, "batch time"] | None = None
    reads_before: bool = False
    tail: Tail | None = None

    @property
    def bytes(self) -> int:
        """What its tensors take."""
        parts = (getattr(self, field.name) for field in fields(self))
        return sum(part.nbytes for part in parts if isinstance(part, Tensor))

    def recurrence(self) -> MatrixRecurrence:
        """The same with time first, in float32 at least."""
        first = [full(part).transpose(0, 1) for part in (self.log_diagonal, self.key, self.value)]
        decay, key, value = first
        left, right = self.left, self.right
        none = key.new_zeros(*key.shape, 0)
        low = none if left is None else full(left).transpose(0, 1)
        high = none if right is None else full(right).transpose(0, 1)
        if self.begins is not None:
            anew = self.begins.T[..., None, None]
            decay = torch.where(anew, torch.full_like(decay, -torch.inf), decay)
            low = torch.where(anew[..., None], torch.zeros_like(low), low)
        return MatrixRecurrence(
            Transitions(decay, low, high),
            key,
            value,
            full(self.query).transpose(0, 1),
            None if self.start is None else full(self.start),
            self.reads_before,
        )


class Given:
    """The arguments of a kernel's call, by the names that libraries give them.

    Args:
        function: that was called.
        args: by position.
        kwargs: by name.
    """

    def __init__(
        self,
        function: Callable[..., object],
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
    ):
        self.function = function
        try:
            bound = inspect.signature(function).bind(*args, **kwargs)
        except (TypeError, ValueError) as error:
            raise GradscopeError(
                f"{getattr(function, '__name__', function)} was called with arguments that it "
                f"does not have: {error}"
            ) from None
        bound.apply_defaults()
        self.values: dict[str, object] = {}
        self._copied: set[int] = set()
        for name, value in bound.arguments.items():
            kind = bound.signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD and isinstance(value, Mapping):
                self.values |= {str(key): _as_it_is(inner) for key, inner in value.items()}
            else:
                self.values[name] = _as_it_is(value)

    def find(self, *names: str) -> Tensor | None:
        """The first of these arguments that is a tensor, without its gradient; None if none is."""
        for name in names:
            value = self.values.get(name)
            if isinstance(value, Tensor):
                return value.detach()
        return None

    def tensor(self, *names: str) -> Tensor:
        """The same.

        Raises:
            GradscopeError: if there is none.
        """
        found = self.find(*names)
        if found is None:
            called = getattr(self.function, "__name__", "a kernel")
            raise GradscopeError(
                f"{called} was called without {names[0]!r}, so this version of it computes "
                "something else than gradscope knows of"
            )
        return found

    def start(self, *names: str) -> Tensor | None:
        """S_0 as (key, value), a copy, as a cache may be filled in place; None is zero.

        Raises:
            GradscopeError: of packed sequences of which each begins in a state of its own.
        """
        found = self.find(*names)
        if found is None:
            given = next((part for part in map(self.values.get, names) if part is not None), None)
            found = given[0].detach() if isinstance(given, tuple) and given else None
        if not isinstance(found, Tensor):
            return None
        self._copied |= {id(self.values.get(name)) for name in names}
        offsets = self.find("cu_seqlens")
        if offsets is None or len(offsets) <= 2:
            turned = self.is_set("state_v_first") or self.is_set("transpose_state_layout")
            return (found.mT if turned else found).clone()
        if bool(found.any()):
            raise GradscopeError(
                "packed sequences (cu_seqlens) of which each begins in a state of its own are not "
                "read; call the kernel for each of them, or with initial states of zero"
            )
        return None

    def is_carried(self, start: Tensor | None) -> bool:
        """Whether a call begins in a state that came, detached, from somewhere."""
        if start is None or not bool(start.any()):
            return False
        names = ("initial_state", "initial_states", "recurrent_states")
        given = [self.values.get(name) for name in names]
        return not any(isinstance(part, Tensor) and part.requires_grad for part in given)

    def kept(self) -> Given:
        """The same without the graph, to be read again: what may change in place is copied."""
        kept = copy.copy(self)
        kept.values = {
            name: value.detach() if isinstance(value, Tensor) else value
            for name, value in self.values.items()
        }
        for name, value in self.values.items():
            if id(value) in self._copied and isinstance(value, Tensor):
                kept.values[name] = value.detach().clone()
        return kept

    def marks(self) -> list[tuple[Tensor, int]]:
        """Tensors that were given and not copied, each with its version, which tells a change."""
        given = (value for value in self.values.values() if isinstance(value, Tensor))
        kept = (value for value in given if id(value) not in self._copied)
        return [(value.detach(), value._version) for value in kept]

    def sequence(self) -> Tensor | None:
        """A copy of the first argument, (batch, time, width); None where it is anything else."""
        first = next(iter(self.values.values()), None)
        if not isinstance(first, Tensor) or first.dim() != 3:
            return None
        self._copied.add(id(first))
        return first.detach().clone()

    def refuse(self, *names: str) -> None:
        """Refuse a call with one of these options, by which it computes something else.

        Raises:
            GradscopeError: if one is set.
        """
        for name in names:
            if self.values.get(name) is not None and self.values[name] is not False:
                called = getattr(self.function, "__name__", "a kernel")
                raise GradscopeError(
                    f"{called} was called with {name!r}, which gradscope does not read: with it "
                    "the recurrence has another form"
                )

    def number(self, name: str) -> float | None:
        """An argument that is a number; None where it is not given."""
        value = self.values.get(name)
        if isinstance(value, Tensor) and value.numel() == 1:
            return float(value)
        return float(value) if isinstance(value, int | float) else None

    def is_set(self, name: str) -> bool:
        """Whether a switch is on."""
        return self.values.get(name) is True

    def begins(self, batch: int, time: int) -> Tensor | None:
        """Before which steps a packed sequence ended (``cu_seqlens``); None where none did."""
        offsets = self.find("cu_seqlens")
        if offsets is None or batch != 1:
            return None
        begins = torch.zeros(1, time + 1, dtype=torch.bool, device=offsets.device)
        begins[0, offsets.long()] = True
        begins[:, 0] = False
        return begins[:, :time] if bool(begins[:, :time].any()) else None


class Kernel(ABC):
    """A function, or a module, that runs a recurrence; no library is imported to know it."""

    #: names of the functions, and of methods of a module
    names: ClassVar[tuple[str, ...]] = ()
    #: names of the modules' classes, and attributes that such a class must have, so that a namesake
    #: is not taken for it
    modules: ClassVar[tuple[str, ...]] = ()
    attributes: ClassVar[tuple[str, ...]] = ()
    #: what it is, in words
    about: ClassVar[str]

    @classmethod
    def knows(cls, module: nn.Module) -> bool:
        """Whether a module is such a one itself."""
        known = type(module).__name__ in cls.modules
        return known and all(hasattr(module, name) for name in cls.attributes)

    @abstractmethod
    def read(self, given: Given, module: nn.Module) -> KernelCall | None:
        """What a call computes; None of a call that is not read, as one with a cache.

        Args:
            given: its arguments.
            module: a copy of the one that called, or was called, as it was.
        """


def _as_it_is(value: object) -> object:
    """An argument; a copy of a weight, or of a view of one, which an optimiser changes in place."""
    if not isinstance(value, Tensor):
        return value
    weight = isinstance(value, nn.Parameter) or isinstance(value._base, nn.Parameter)
    return value.detach().clone().requires_grad_(value.requires_grad) if weight else value


def full(x: Tensor) -> Tensor:
    """The tensor in float32 at least, as these kernels keep their states."""
    return x if x.dtype == torch.float64 else x.float()


def normalised(x: Tensor, eps: float = 1e-6) -> Tensor:
    """x / sqrt(|x|^2 + eps) along the last axis, as kernels of the delta rule have it."""
    x = full(x)
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + eps)


def spread(x: Tensor, heads: int, axis: int = 2) -> Tensor:
    """Groups of heads that share a key, as heads of their own."""
    return x.repeat_interleave(heads // x.shape[axis], dim=axis) if x.shape[axis] != heads else x
