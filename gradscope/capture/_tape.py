"""Tape: what a model computes around the blocks of a stack, while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.overrides import TorchFunctionMode

from gradscope.capture._ancestry import Ancestry, reached
from gradscope.capture._call import RandomState
from gradscope.capture._forward import Onlooker
from gradscope.capture._nests import mapped, snapshots, tensors_in
from gradscope.capture._program import Operation, Ref
from gradscope.capture._watch import Args, Kwargs, Received, copied, recomputing

if TYPE_CHECKING:
    from collections.abc import Iterator

#: operations that are kept before the first block, and after the last one
_BEFORE, _AFTER = 2_000, 20_000
#: parts of the names of functions that draw random numbers
_DRAWING = ("dropout", "rand", "bernoulli", "normal", "uniform", "multinomial", "exponential")
#: with which a backward pass begins
_BACKWARD = (Tensor.backward, torch.autograd.grad)


class Tape(TorchFunctionMode):
    """Keeps every operation around the blocks, with the tensors that it takes and gives.

    The operations themselves are left as they are.

    Args:
        onlooker: keeps what goes wrong from the model.
        before_backward: is called when a backward pass begins.

    Attributes:
        operations: in order.
        tensors: by number.
        latest: the latest call of a block, from 0, on which a tensor depends; -1 if on none.
        edges: of each tensor in autograd's graph, as it was.
        saved: values of tensors that were changed in place later.
        ancestry: knows what the blocks made.
    """

    def __init__(self, onlooker: Onlooker, before_backward: Callable[[], None]):
        super().__init__()
        self.onlooker, self.before_backward = onlooker, before_backward
        self.paused = 0
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.operations: list[Operation] = []
        self.tensors: list[Tensor] = []
        self.latest: list[int] = []
        self.edges: list[GradientEdge | None] = []
        self.versions: list[int] = []
        self.saved: dict[int, Tensor] = {}
        self.ancestry = Ancestry()
        self._numbers: dict[int, int] = {}
        self._of_blocks: set[int] = set()
        self._calls = self._since = 0

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Keep nothing."""
        self.paused += 1
        try:
            yield
        finally:
            self.paused -= 1

    # --- functions of torch's ---------------------------------------------------------------------

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Iterable[type],
        args: Args = (),
        kwargs: Kwargs | None = None,
    ) -> object:
        """Called in the place of a function of torch's: calls it, and takes note."""
        kwargs = kwargs or {}
        if self.paused or recomputing() or Received.is_unheard():
            return func(*args, **kwargs)
        if func in _BACKWARD:
            self.onlooker.look(self.before_backward)
            return func(*args, **kwargs)
        begun = self.onlooker.look(self._begin, func, args, kwargs)
        result = func(*args, **kwargs)
        if isinstance(begun, Operation):
            self.onlooker.look(self._end, begun, result)
        return result

    def _begin(self, func: Callable[..., object], args: Args, kwargs: Kwargs) -> Operation | None:
        self._since += 1
        if self._calls and self._since > _AFTER:
            return None
        if not self._calls and len(self.operations) > 2 * _BEFORE:
            self._forget()
        return self._operation(func, args, kwargs, getattr(func, "__name__", ""))

    def _end(self, operation: Operation, result: object) -> None:
        made = tensors_in(result)
        changed = self._changed(operation)
        if not made and not changed:
            return
        latest = max((self.latest[number] for number in operation.reads), default=-1)
        self._finish(operation, made, changed, latest)

    # --- blocks -----------------------------------------------------------------------------------

    def enter(self, block: nn.Module, args: Args, kwargs: Kwargs) -> Operation:
        """A block is about to be called, which is one operation."""
        with self.pause():
            operation = self._operation(block, args, kwargs, "dropout" if block.training else "")
            for number in operation.takes:
                self._save(number)
        return operation

    def leave(self, operation: Operation, copy: nn.Module, result: object) -> None:
        """It has been called."""
        with self.pause():
            self._leave(operation, copy, result)

    def _leave(self, operation: Operation, copy: nn.Module, result: object) -> None:
        made = tensors_in(result)
        operation.function, operation.call, operation.grad = copy, self._calls, True
        changed = self._changed(operation)
        read = [self._read(tensor, operation) for tensor in made]
        self._finish(operation, made, changed, self._calls)
        heard = [number for number in operation.takes if self._is_heard(number)]
        if heard and any(read):
            of_blocks = {n for n in operation.takes if self.latest[n] >= 0} or set(heard)
            for number, numbers in zip(operation.gives, read, strict=True):
                if not numbers & of_blocks:
                    self.latest[number] = -1  # does not depend on what came in, as a mask
            unread = set(heard) - set().union(*read) - set(changed)
            operation.reads = [n for n in operation.takes if n not in unread]
        self._of_blocks.update(operation.makes)
        own = [self.tensors[n] for n in operation.makes if self.latest[n] == self._calls]
        self.ancestry.made(own, self._calls)
        self._calls, self._since = self._calls + 1, 0

    def _is_heard(self, number: int) -> bool:
        return self.edges[number] is not None and not _is_weight(self.tensors[number])

    def _read(self, made: Tensor, operation: Operation) -> set[int]:
        """Of which of an operation's arguments something was made, as autograd knows it."""
        if not made.requires_grad:
            return set()
        edges = {n: self.edges[n] for n in operation.takes}
        places = {
            (id(edge.node), edge.output_nr): number
            for number, edge in edges.items()
            if edge is not None
        }
        return {places[key] for key in reached(get_gradient_edge(made), places.keys())}

    # --- numbers ----------------------------------------------------------------------------------

    def number(self, tensor: Tensor) -> int:
        """A tensor's number, as it is now."""
        known = self._numbers.get(id(tensor))
        if known is None:
            return self._add(tensor, -1)
        if self.edges[known] is None and tensor.requires_grad:
            if self.latest[known] < 0 or known not in self._of_blocks:
                return self._add(tensor, -1)  # of a torch.autograd.Function: its own backward
            self.edges[known] = get_gradient_edge(tensor)  # by checkpointing
        return known

    def is_lost(self, numbers: Iterable[int]) -> bool:
        """Whether one of these was made of what a block gave, by what torch does not show."""
        unknown = [self.tensors[n] for n in numbers if self.latest[n] < 0 and self._is_heard(n)]
        return self.ancestry.latest(unknown) >= 0

    def value(self, number: int) -> Tensor | None:
        """A tensor's numbers as they were; None where they were lost."""
        if number in self.saved:
            return self.saved[number]
        tensor = self.tensors[number]
        return tensor.detach() if tensor._version == self.versions[number] else None

    def _add(self, tensor: Tensor, latest: int) -> int:
        number = len(self.tensors)
        self._numbers[id(tensor)] = number
        self.tensors.append(tensor)  # so that its identity stays unique
        self.latest.append(latest)
        self.versions.append(tensor._version)
        self.edges.append(get_gradient_edge(tensor) if tensor.requires_grad else None)
        return number

    def _operation(
        self, func: Callable[..., object], args: Args, kwargs: Kwargs, name: str
    ) -> Operation:
        takes: list[int] = []

        def numbered(tensor: object) -> object:
            assert isinstance(tensor, Tensor)
            takes.append(self.number(tensor))
            return Ref(takes[-1])

        marked, named = mapped(snapshots(args), numbered), mapped(snapshots(kwargs), numbered)
        assert isinstance(marked, tuple)
        assert isinstance(named, dict)
        reads, grad = list(dict.fromkeys(takes)), torch.is_grad_enabled()
        operation = Operation(func, marked, named, takes, reads, grad=grad)
        if any(part in name for part in _DRAWING):
            device = self.tensors[takes[0]].device if takes else torch.device("cpu")
            operation.random = RandomState.now(device)
        if (name.endswith("_") and not name.startswith("__")) or name.startswith("__i"):
            self._save(takes[0])
        if name == "__setitem__" or kwargs.get("inplace") is True:
            self._save(takes[0])
        return operation

    def _save(self, number: int) -> None:
        if self.tensors[number].is_floating_point() and not _is_weight(self.tensors[number]):
            self.saved.setdefault(number, copied(self.tensors[number]))

    def _changed(self, operation: Operation) -> list[int]:
        """Numbers of the tensors that an operation changed in place."""
        return [
            number
            for number in dict.fromkeys(operation.takes)
            if self.tensors[number]._version != self.versions[number]
        ]

    def _finish(
        self, operation: Operation, made: list[Tensor], changed: list[int], latest: int
    ) -> None:
        operation.changes = {number: self._add(self.tensors[number], latest) for number in changed}
        operation.gives = [
            self._numbers[id(tensor)]
            if any(tensor is self.tensors[number] for number in changed)
            else self._add(tensor, latest)
            for tensor in made
        ]
        self.operations.append(operation)

    def _forget(self) -> None:
        """Let go of what was computed long before the first block."""
        self.operations = self.operations[-_BEFORE:]
        kept = {number for op in self.operations for number in (*op.takes, *op.makes)}
        kept |= {number for op in self.operations for number in op.changes}
        nothing = torch.empty(0)
        for number, tensor in enumerate(self.tensors):
            if number not in kept and tensor.numel():
                if self._numbers.get(id(tensor)) == number:
                    del self._numbers[id(tensor)]
                self.tensors[number], self.edges[number] = nothing, None
                self.saved.pop(number, None)


def _is_weight(tensor: Tensor) -> bool:
    return isinstance(tensor, nn.Parameter)
