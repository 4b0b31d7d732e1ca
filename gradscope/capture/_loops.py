"""Loops: modules that are called again and again on what they gave, watched without being told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from gradscope.capture._call import RandomState
from gradscope.capture._lineage import Lineage, Operation, Value
from gradscope.capture._loop_calls import (
    Candidate,
    Kept,
    LoopCall,
    arguments,
    keeps_shape,
    taken_apart,
)
from gradscope.capture._loop_search import found_in
from gradscope.capture._loop_trace import recorded
from gradscope.capture._place import Place
from gradscope.capture._watch import (
    Args,
    Harvest,
    Kwargs,
    Watch,
    bare_copy,
    full_precision,
    recomputing,
    several_passes,
    versions,
)
from gradscope.errors import GradscopeError

#: operations back to which what lies between two calls is looked for constants
_DEPTH = 6


class _Frame(NamedTuple):
    """A call that has begun.

    Attributes:
        of: whose it is.
        call: what is known of it; None where it was given no tensor of floats.
        pauses: whether nothing is followed within it.
    """

    of: Candidate
    call: LoopCall | None
    pauses: bool


class LoopWatch(Watch):
    """Watches every module that may be called on its own output.

    Args:
        model: whose modules these are.
        names: the modules by name; the outermost that loop are taken.
        known: recurrences that are watched otherwise: what goes through them is theirs.
        exactly: whether they were named, so that each is taken as it is.
    """

    optional = True

    def __init__(
        self,
        model: nn.Module,
        names: Mapping[str, nn.Module],
        known: Sequence[nn.Module] = (),
        *,
        exactly: bool = False,
    ):
        super().__init__("", model)
        self.known, self.exactly = known, exactly
        self.candidates = [
            Candidate(name, module, 1 << place, _is_layer(module))
            for place, (name, module) in enumerate(names.items())
        ]
        self.parameters = {id(p): name for name, p in model.named_parameters()}
        self.lineage, self.kept = Lineage(self.onlooker), Kept()
        self._open: list[_Frame] = []
        self._looping = 0

    # --- while the model runs -------------------------------------------------------------------

    def put_hooks(self) -> None:
        """Keep what enters and leaves every candidate, and what is made of it in between."""
        for candidate in self.candidates:
            self._hook(candidate)
        for module in self.known:
            self.hook(module, self._after_known, self._before_known)
        self.hooks.enter_context(self.lineage)

    def _hook(self, candidate: Candidate) -> None:
        def before(module: nn.Module, args: Args, kwargs: Kwargs) -> None:
            self._before(candidate, args, kwargs)

        def after(module: nn.Module, args: Args, kwargs: Kwargs, output: object) -> None:
            self._after(candidate, output)

        self.hook(candidate.module, after, before)

    def _before_known(self, module: nn.Module, args: Args, kwargs: Kwargs) -> None:
        self.lineage.paused += 1

    def _after_known(self, module: nn.Module, args: Args, kwargs: Kwargs, output: object) -> None:
        for tensor in taken_apart(output)[0]:
            if isinstance(tensor, Tensor) and tensor.is_floating_point():
                self.lineage.root(tensor, 0)
        self.lineage.paused -= 1

    def _before(self, candidate: Candidate, args: Args, kwargs: Kwargs) -> None:
        if self.lineage.paused or self.lineage.is_full or recomputing():
            return
        with self._quiet():
            call = self._entering(candidate, args, kwargs)
            if call is not None:
                call.linked = any(value.bits & candidate.bit for value in call.inputs)
                if call.linked:
                    self._confirm(candidate)
                if candidate.loops:
                    self._keep(call)
        pauses = call is not None and candidate.loops and candidate.solid
        self._open.append(_Frame(candidate, call, pauses))
        self.lineage.paused += pauses  # nothing within it loops by itself

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """What is done here is not the model's."""
        self.lineage.paused += 1
        try:
            yield
        finally:
            self.lineage.paused -= 1

    def _entering(self, candidate: Candidate, args: Args, kwargs: Kwargs) -> LoopCall | None:
        leaves, nest = arguments(args, kwargs)
        tensors = [t for t in leaves if isinstance(t, Tensor) and t.is_floating_point()]
        if not tensors:
            return None
        values = {id(tensor): self.lineage.value(tensor) for tensor in tensors}
        module = candidate.module
        return LoopCall(
            of=candidate,
            within=next((f.call for f in reversed(self._open) if f.call is not None), None),
            start=self.lineage.tick(),
            grad=torch.is_grad_enabled(),
            leaves=[values.get(id(leaf), leaf) for leaf in leaves],
            nest=nest,
            came=[(values[id(tensor)], tensor) for tensor in tensors],
            weights=versions(module),
            random=RandomState.now(tensors[0].device) if module.training else None,
            lowered=torch.is_autocast_enabled(tensors[0].device.type),
        )

    def _after(self, candidate: Candidate, output: object) -> None:
        if recomputing() or self.lineage.is_full or not self._is_open(candidate):
            return
        while True:  # what is above it was left by an exception
            frame = self._open.pop()
            self.lineage.paused -= frame.pauses
            if frame.of is candidate:
                break
        if frame.call is not None:
            with self._quiet():
                self._leaving(candidate, frame.call, output)

    def _is_open(self, candidate: Candidate) -> bool:
        if self.lineage.paused:  # of what is inside a paused one nothing was noted
            return bool(self._open) and self._open[-1].of is candidate
        return any(frame.of is candidate for frame in self._open)

    def _leaving(self, candidate: Candidate, call: LoopCall, output: object) -> None:
        leaves, _ = taken_apart(output)
        given = [(i, t) for i, t in enumerate(leaves) if isinstance(t, Tensor)]
        given = [(i, t) for i, t in given if t.is_floating_point()]
        if not given or not keeps_shape(call.inputs, [t for _, t in given]):
            return
        call.hushed = call.grad and self.lineage.hushed > call.start
        outer = call.within
        if candidate.calls and candidate.calls[-1].within is outer:
            while outer is not None:
                outer.of.solid, outer = False, outer.within
        bits = candidate.bit
        for value in call.inputs:
            bits |= value.bits
        call.end = self.lineage.tick()
        for place, tensor in given:
            value = self.lineage.value(tensor)
            if value.operation is None:  # made by what cannot be seen, or nobody looked
                value = self.lineage.root(tensor, bits)
            value.bits |= bits
            value.outputs.append((call, len(call.made)))
            call.made.append(value)
            call.places.append(place)
            has_edge = tensor.grad_fn is not None
            call.given.append((value, tensor, get_gradient_edge(tensor) if has_edge else None))
        candidate.calls.append(call)
        if candidate.loops:
            self._keep(call)
            if not any(value in call.made for value, _ in self.lineage.tail):
                shapes = frozenset(value.shape for value in call.inputs)
                self.lineage.begin_tail(self._looping, shapes, self._keep_tensor)

    # --- what is kept of a loop -------------------------------------------------------------------

    def _confirm(self, candidate: Candidate) -> None:
        """From now on it is a loop: what it was called with before is needed."""
        if candidate.loops:
            return
        try:
            candidate.copy = full_precision(bare_copy(candidate.module))
        except Exception as error:
            raise GradscopeError(
                f"'{candidate.name}' is called on its own output, and cannot be copied to be run "
                f"again ({error}); make it one that copy.deepcopy can copy, or attach with "
                "loops=False"
            ) from None
        self._looping |= candidate.bit
        for call in candidate.calls:
            self._keep(call)

    def _keep(self, call: LoopCall) -> None:
        """Copies of what went in and out, and of what that was made of besides."""
        for value, tensor in call.came:
            self._keep_tensor(value, tensor)
        for value, tensor, edge in call.given:
            self._keep_tensor(value, tensor, edge)
        for value, _ in call.came:
            if value.operation is not None and not value.outputs:
                self._keep_constants(value.operation, _DEPTH)
        call.came.clear()
        call.given.clear()

    def _keep_tensor(self, value: Value, tensor: Tensor, edge: GradientEdge | None = None) -> None:
        """What a value held, unless it was changed since, and the gradient that arrives at it."""
        unchanged = value.version == tensor._version
        if unchanged and value not in self.kept.tensors:
            self.kept.tensors[value] = tensor.detach().clone()
        if value not in self.kept.received and (edge or (unchanged and tensor.requires_grad)):
            self.kept.received[value] = self.receive(tensor, edge)

    def _keep_constants(self, operation: Operation, depth: int) -> None:
        for value in operation.inputs:
            if value in self.kept.tensors or value in self.kept.shared:
                continue
            if any(isinstance(call, LoopCall) and call.of.loops for call, _ in value.outputs):
                continue
            tensor = value.tensor
            if tensor is not None and not value.bits & self._looping:
                if tensor.is_leaf and tensor.requires_grad:
                    self.kept.tensors[value] = tensor.detach().clone()
                else:
                    self.kept.shared[value] = tensor
            if value.operation is not None and depth:
                self._keep_constants(value.operation, depth - 1)

    # --- afterwards -----------------------------------------------------------------------------

    def harvest(self) -> Harvest:
        """A trace for every unbroken chain of every loop."""
        harvest = Harvest(notes=several_passes(self.place, self.kept.received.values()))
        if self.lineage.is_full:
            harvest.notes.append(
                "loops: more operations than are followed ran in the block; what came later was "
                "not looked at. Record one update at a time, or attach with loops=False"
            )
        self.kept.tail = [value for value, _ in self.lineage.tail]
        found = found_in(self.candidates, self.parameters, self.kept.tail, exactly=self.exactly)
        count = Counter(loop.name for loop in found)
        number = Counter[str]()
        for loop in found:
            place = Place(loop.name, type(loop.module).__name__.lower(), loop=True)
            place = place.in_stretch(number[loop.name], count[loop.name])
            number[loop.name] += 1
            try:
                recorded(loop, place, self.kept, harvest)
            except GradscopeError as error:
                why = f"it is called on its own output, and was not recorded: {error}"
                harvest.notes.append(f"{place}: {why}")
                harvest.unseen[str(place)] = why
        return harvest


def _is_layer(module: nn.Module) -> bool:
    """Whether it is a single layer of torch's own."""
    return type(module).__module__.startswith("torch.nn.") and not any(module.children())


def may_loop(module: nn.Module) -> bool:
    """Whether it may be called on its own output: not a plain function of torch's, nor a list."""
    if isinstance(module, torch.jit.ScriptModule):
        return False
    if type(module).__module__.startswith("torch.nn."):
        holds = isinstance(module, nn.ModuleList | nn.ModuleDict | nn.Embedding)
        return not holds and any(True for _ in module.parameters())
    return type(module).forward is not nn.Module.forward
