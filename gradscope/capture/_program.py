"""What a model computed from one layer's state to the next one's, ready to be run again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from gradscope.capture._call import RandomState
from gradscope.capture._nests import mapped, snapshots, tensors_in
from gradscope.capture._watch import Args, Kwargs

if TYPE_CHECKING:
    from collections.abc import Iterator


class Ref:
    """Stands for a tensor: every tensor, and every change of one in place, has a number."""

    def __init__(self, number: int):
        self.number = number


@dataclass
class Operation:
    """One call, of a function of torch's or of a block.

    Attributes:
        function: that is called: torch's, or a copy of the block.
        args: by position, with a ``Ref`` in the place of each tensor.
        kwargs: by name, likewise.
        takes: numbers of the tensors among the arguments.
        reads: those of which its result is made; a block may be given more.
        gives: numbers of the tensors in its result, in order.
        changes: numbers of tensors that it changed in place, before to after.
        call: which call of a block it is, from 0; -1 where it is none.
        grad: whether autograd looked on.
        random: from which it drew; None where it draws nothing.
    """

    function: Callable[..., object]
    args: Args
    kwargs: Kwargs
    takes: list[int]
    reads: list[int] = field(default_factory=list)
    gives: list[int] = field(default_factory=list)
    changes: dict[int, int] = field(default_factory=dict)
    call: int = -1
    grad: bool = True
    random: RandomState | None = None

    @property
    def makes(self) -> list[int]:
        """Numbers of all tensors that are there, or other ones, because of it."""
        return [*self.gives, *self.changes.values()]

    def run(self, known: dict[int, Tensor], device: torch.device) -> None:
        """Call it with the tensors that are known by number, and add what it makes."""
        given = {
            number: known[number].clone() if number in self.changes else known[number]
            for number in self.takes
        }

        def filled(ref: object) -> object:
            assert isinstance(ref, Ref)
            return given[ref.number]

        args = mapped(snapshots(self.args), filled, of=Ref)
        kwargs = mapped(snapshots(self.kwargs), filled, of=Ref)
        assert isinstance(args, tuple)
        assert isinstance(kwargs, dict)
        with _as_drawn(self.random, device):
            result = self.function(*args, **kwargs)
        known.update(zip(self.gives, tensors_in(result), strict=False))
        known.update({after: given[before] for before, after in self.changes.items()})
        if not self.grad:
            known.update({number: known[number].detach() for number in self.makes})


@dataclass
class Layer:
    """Operations from the tensors of one state to those of the next.

    Attributes:
        operations: in order.
        takes: numbers of the tensors of the state before.
        gives: those of the state after.
        constants: tensors by number that come from elsewhere.
    """

    operations: list[Operation]
    takes: list[int]
    gives: list[int]
    constants: dict[int, Tensor]

    def __call__(self, state: Sequence[Tensor], *, differentiable: bool = True) -> list[Tensor]:
        """The state after, for another one before.

        Args:
            state: its tensors, in the model's shapes.
            differentiable: take the kernel of attention that has every derivative.
        """
        dtype, device = state[0].dtype, state[0].device
        known = {number: _widened(value, dtype) for number, value in self.constants.items()}
        known |= dict(zip(self.takes, state, strict=True))
        with _Differentiable() if differentiable else nullcontext():
            for operation in self.operations:
                operation.run(known, device)
        return [known[number].to(dtype) for number in self.gives]

    @property
    def is_random(self) -> bool:
        """Whether it draws random numbers."""
        return any(operation.random is not None for operation in self.operations)


class _Differentiable(TorchFunctionMode):
    """Attention takes the kernel that has every derivative, whatever the model asks for."""

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Iterable[type],
        args: Args = (),
        kwargs: Kwargs | None = None,
    ) -> object:
        """Called in the place of a function of torch's."""
        if func is not torch.nn.functional.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        with sdpa_kernel([SDPBackend.MATH]):
            return func(*args, **(kwargs or {}))


def _widened(value: Tensor, dtype: torch.dtype) -> Tensor:
    """In the dtype of the states where that is wider; masks and numbers of tokens as they are."""
    wider = value.is_floating_point() and torch.promote_types(value.dtype, dtype) == dtype
    return value.to(dtype) if wider else value


@contextmanager
def _as_drawn(random: RandomState | None, device: torch.device) -> Iterator[None]:
    """Draw what was drawn, and leave the generators as they were."""
    if random is None:
        yield
        return
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        random.restore(device)
        yield
