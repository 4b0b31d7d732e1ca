"""A step of a loop, run again: calls of its modules, and what lies between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from gradscope.capture._call import RandomState
from gradscope.capture._lineage import CUTS, Operation, Value
from gradscope.capture._loop_calls import Kept, LoopCall
from gradscope.capture._loop_search import Found
from gradscope.capture._loop_states import States
from gradscope.errors import GradscopeError

_Node = Operation | LoopCall
_HALF = (torch.float16, torch.bfloat16)


class Program:
    """Runs the steps of a loop again, each from a state of any numbers.

    Args:
        loop: whose steps.
        states: between which they run.
        kept: what values held.

    Attributes:
        modules: copies of the loop's modules.
        between: parameters that lie between its calls, by their names in the model.
    """

    def __init__(self, loop: Found, states: States, kept: Kept):
        self.loop, self.states, self.kept = loop, states, kept
        self.modules = {c: c.copy for c in loop.candidates if c.copy is not None}
        self.between: dict[str, nn.Parameter] = {}
        self._depends = {value: True for value in states.rows[0] if value is not None}
        self._constants: dict[Value, Tensor] = {}
        self.plans = [self._plan(step) for step in range(1, len(states.rows))]

    # --- what a step needs ------------------------------------------------------------------------

    def _plan(self, step: int) -> list[_Node]:
        """Operations and calls from one state to the next, in the order of time."""
        given = set(self.states.rows[step - 1])
        fresh = zip(self.states.rows[step], self.states.fresh[step], strict=True)
        waiting = [value for value, is_fresh in fresh if is_fresh and value is not None]
        nodes: dict[_Node, int] = {}
        while waiting:
            value = waiting.pop()
            if value in given or self._is_constant(value):
                continue
            call = self.loop.ways.made_by.get(value)
            node = value.operation if call is None else call
            if node is None:
                raise GradscopeError(
                    "what lies between its calls was made of something that cannot be seen, such "
                    "as a custom torch.autograd.Function or a view changed in place"
                )
            if node not in nodes:
                nodes[node] = node.end if isinstance(node, LoopCall) else node.time
                waiting += node.inputs
        return sorted(nodes, key=lambda node: nodes[node])

    def _is_constant(self, value: Value) -> bool:
        """Whether it is there and owes nothing to the loop's states."""
        if value in self._constants:
            return True
        if value in self.loop.ways.broken or not self._depends_on_states(value):
            tensor = self._held(value)
            if tensor is not None:
                self._constants[value] = tensor
                return True
        return False

    def _held(self, value: Value) -> Tensor | None:
        name = self.loop.ways.parameters.get(id(value.leaf)) if value.leaf is not None else None
        tensor = self.kept.tensors.get(value)
        if tensor is None:
            tensor = self.kept.shared.get(value, value.leaf)
            if tensor is not None and tensor._version != value.version:
                raise GradscopeError(
                    "a tensor that its calls read was changed in place later in the recorded block"
                )
        if tensor is None:
            return None
        tensor = tensor.detach()
        tensor = tensor.float() if tensor.dtype in _HALF else tensor
        if name is None:
            return tensor
        shared = self._in_modules(name)
        if shared is None:
            shared = self.between.setdefault(name, nn.Parameter(tensor.clone()))
        return shared

    def _in_modules(self, name: str) -> nn.Parameter | None:
        """The copy of a parameter that one of the loop's modules has as well."""
        for candidate, module in self.modules.items():
            inner = name.removeprefix(f"{candidate.name}.") if candidate.name else name
            if not candidate.name or name.startswith(f"{candidate.name}."):
                return dict(module.named_parameters()).get(inner)
        return None

    def _depends_on_states(self, value: Value) -> bool:
        waiting = [value]
        while waiting:
            here = waiting[-1]
            if here in self._depends:
                waiting.pop()
                continue
            if here in self.loop.ways.made_by or self.loop.ways.derived(here):
                self._depends[here] = True
                continue
            below = here.operation.inputs if here.operation is not None else []
            unknown = [other for other in below if other not in self._depends]
            if unknown:
                waiting += unknown
            else:
                self._depends[here] = any(self._depends[other] for other in below)
        return self._depends[value]

    def signature(self, step: int) -> tuple[object, ...]:
        """What tells a step from others, but for its state."""
        return tuple(part for node in self.plans[step - 1] for part in self._facts(node))

    def _facts(self, node: _Node) -> Iterator[object]:
        yield node.function if isinstance(node, Operation) else node.of
        given = (node.args, node.kwargs) if isinstance(node, Operation) else node.leaves
        for leaf in pytree.tree_leaves(given):
            if isinstance(leaf, Value):
                yield id(self._constants[leaf]) if leaf in self._constants else "state"
            else:
                yield id(leaf) if isinstance(leaf, Tensor) else repr(leaf)[:80]

    # --- running it -------------------------------------------------------------------------------

    def run(self, step: int, before: Sequence[Tensor], *, trained: bool) -> list[Tensor]:
        """The state after a step, from that before it.

        Args:
            step: from 1.
            before: the tensors of s_{t-1}.
            trained: whether gradients are cut where the training cut them, by detach or no_grad.
        """
        known: dict[Value, Tensor] = {}
        for value, tensor in zip(self.states.rows[step - 1], before, strict=True):
            if value is not None:
                known.setdefault(value, tensor)
        made: dict[_Node, object] = {}

        def tensor_of(value: Value) -> Tensor:
            if value in known:
                return known[value]
            if value in self._constants:
                return self._constants[value]
            call = self.loop.ways.made_by.get(value)
            node = value.operation if call is None else call
            assert node is not None
            output = made[node]
            if call is not None:
                tensor = pytree.tree_leaves(output)[call.places[call.made.index(value)]]
            elif isinstance(output, tuple | list):
                tensor = output[value.index]
            else:
                tensor = output
            assert isinstance(tensor, Tensor)
            return known.setdefault(value, tensor)

        with sdpa_kernel(SDPBackend.MATH):  # which can be differentiated in either direction
            for node in self.plans[step - 1]:
                made[node] = (
                    _operated(node, tensor_of, trained)
                    if isinstance(node, Operation)
                    else self._called(node, tensor_of, trained)
                )
            row = zip(self.states.rows[step], self.states.fresh[step], before, strict=True)
            return [
                tensor_of(value) if fresh and value is not None else old
                for value, fresh, old in row
            ]

    def _called(
        self, call: LoopCall, tensor_of: Callable[[Value], Tensor], trained: bool
    ) -> object:
        leaves = [tensor_of(leaf) if isinstance(leaf, Value) else leaf for leaf in call.leaves]
        args, kwargs = pytree.tree_unflatten(leaves, call.nest)
        hushed = any(other.hushed for other in call.of.calls)
        aloud = _GradientsOn() if hushed and not trained else nullcontext()
        with _drawing_again(call.random, leaves), aloud:
            output = self.modules[call.of](*args, **kwargs)
        return _cut(output) if trained and not call.grad else output


def _operated(node: Operation, tensor_of: Callable[[Value], Tensor], trained: bool) -> object:
    def filled(nest: object) -> object:
        return pytree.tree_map(lambda x: tensor_of(x) if isinstance(x, Value) else x, nest)

    args = filled(list(node.args))
    kwargs = filled(dict(node.kwargs))
    assert isinstance(args, list)
    assert isinstance(kwargs, Mapping)
    if node.function in CUTS:
        return _cut(args[0]) if trained else args[0]
    if node.changes:
        args[0] = args[0].clone()
    with _drawing_again(node.random, args):
        output = node.function(*args, **kwargs)
    output = args[0] if node.changes else output
    return _cut(output) if trained and not node.grad else output


def _cut(output: object) -> object:
    return pytree.tree_map(lambda x: x.detach() if isinstance(x, Tensor) else x, output)


@contextmanager
def _drawing_again(random: RandomState | None, given: Sequence[object]) -> Iterator[None]:
    """Draw the same numbers, and leave the generators as they were."""
    if random is None:
        yield
        return
    tensor = next((x for x in given if isinstance(x, Tensor)), None)
    device = torch.device("cpu") if tensor is None else tensor.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        random.restore(device)
        yield


class _GradientsOn(TorchFunctionMode):
    """Autograd stays on, though a module switches it off for a part of what it does."""

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Call a function, but none that switches it off."""
        if func is torch._C._set_grad_enabled:  # pyright: ignore[reportAttributeAccessIssue]
            return func(torch.is_grad_enabled())
        return func(*args, **(kwargs or {}))
