"""Kernel: a library's function that runs a whole recurrence, told by its name and arguments."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
        begins: where a sequence begins that knows nothing of what lies before; None is at the first
            step alone.
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
            decay = torch.where(anew, -torch.inf, decay)
            low = torch.where(anew[..., None], 0.0, low)
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
        for name, value in bound.arguments.items():
            kind = bound.signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD and isinstance(value, Mapping):
                self.values |= {str(key): inner for key, inner in value.items()}
            else:
                self.values[name] = value

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
        """Where packed sequences begin (``cu_seqlens``); None where they are not packed."""
        offsets = self.find("cu_seqlens")
        if offsets is None or batch != 1:
            return None
        begins = torch.zeros(1, time, dtype=torch.bool, device=offsets.device)
        begins[0, offsets[:-1].long()] = True
        return begins


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
