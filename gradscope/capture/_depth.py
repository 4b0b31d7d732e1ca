"""Depth as time: a stack of blocks x_{l+1} = F_l(x_l), watched."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from gradscope.capture._depth_cell import BlockCall, DepthCell, activation
from gradscope.capture._residual import link_of
from gradscope.capture._watch import (
    Args,
    Harvest,
    Kwargs,
    Received,
    Recorded,
    Watch,
    bare_copy,
    copied,
    versions,
    without_rounding,
)
from gradscope.dynamics import Adjoints, Trace
from gradscope.errors import GradscopeError

#: ways through the blocks in one recorded block that are all kept; of more, as of a stack inside a
#: loop over time, the last
_PASSES = 4


@dataclass
class _Pass:
    """One block's call, and what tells whether the next one goes on from it."""

    call: BlockCall
    given: Tensor  # the activation that came in, kept so that its identity stays unique
    given_edge: GradientEdge | None
    made: Tensor  # the activation that went out
    made_edge: GradientEdge | None
    received: Received
    entered: Received | None = None  # where what came in was made of what went out before
    after: _Pass | None = None  # the pass that it was made of


class DepthWatch(Watch):
    """Watches the blocks of one container, which are called one after another.

    Args:
        name: of the container in the model.
        module: the container.
    """

    def __init__(self, name: str, module: nn.Module):
        super().__init__(name, module)
        self.place = replace(self.place, along_depth=True)
        self.blocks = list(module.children())
        self.copies = {block: bare_copy(block) for block in self.blocks}  # before any update
        self.stamps = {block: versions(block) for block in self.blocks}
        self.passes: list[_Pass] = []
        self.first: Received | None = None
        self._entering: Tensor | None = None
        self._after_which: _Pass | None = None
        self._entered: Received | None = None

    # --- while the model runs -------------------------------------------------------------------

    def put_hooks(self) -> None:
        """Keep what enters and leaves every block."""
        for block in self.blocks:
            self.hook(block, self._after, self._before)

    def _before(self, block: nn.Module, args: Args, kwargs: Kwargs) -> None:
        entering = _entering(args, kwargs)
        self._entering = None if entering is None else copied(entering)
        self._after_which = self._entered = None
        if entering is None or not self.passes:
            return
        before = self.passes[-1]
        if entering is before.made:
            self._after_which = before
            return
        link = link_of(entering, before.made, before.made_edge, before.given, before.given_edge)
        if link is not None:
            before.call.link, self._after_which = link, before
            self._entered = self.receive(entering)

    def _after(self, block: nn.Module, args: Args, kwargs: Kwargs, output: object) -> None:
        entering = _entering(args, kwargs)
        if entering is None or self._entering is None:
            raise GradscopeError(
                f"'{self.place.owner}': a block should be called with the activation "
                "as its first argument"
            )
        leaving = activation(output)
        if leaving.shape != entering.shape:
            raise GradscopeError(
                f"'{self.place.owner}': a block turns {tuple(entering.shape)} into "
                f"{tuple(leaving.shape)}; depth as time needs blocks that keep the shape: name a "
                "container of such blocks"
            )
        if not self.passes:
            self.first = self.receive(entering)
        if versions(block) != self.stamps[block]:
            raise GradscopeError(
                f"the weights of '{self.place.owner}' changed within the recorded "
                "block before a block was called: record one update at a time, its optimiser step "
                "at the end"
            )
        rest = {name: value for name, value in kwargs.items() if args or value is not entering}
        call = BlockCall(self.copies[block], self._entering, copied(leaving), args[1:], rest)
        self.passes.append(
            _Pass(
                call,
                entering,
                _edge(entering),
                leaving,
                _edge(leaving),
                self.receive(leaving),
                self._entered,
                self._after_which,
            )
        )

    # --- afterwards -----------------------------------------------------------------------------

    def harvest(self) -> Harvest:
        """One trace for each way through the blocks."""
        harvest = Harvest()
        ways: list[list[_Pass]] = []
        for step in self.passes:
            goes_on = ways and step.after is ways[-1][-1]
            if goes_on and len(ways[-1]) < len(self.blocks):
                ways[-1].append(step)
            else:
                ways.append([step])
        long = [way for way in ways if len(way) > 1]
        if self.passes and not long:
            harvest.notes.append(
                f"{self.place.owner}: no block's output was the next one's input, so "
                "there is no depth to look along; name the container whose modules are called one "
                "after another"
            )
        if len(long) > _PASSES:
            harvest.notes.append(
                f"{self.place.owner}: went through {len(long)} times; the last time is shown"
            )
            long = long[-1:]
        for index, way in enumerate(long):
            place = self.place.in_stretch(index, len(long))
            cell = DepthCell([step.call for step in way])
            trace = self._trace(cell, way)
            harvest.recorded.append(Recorded(place, trace))
            if cell.stochastic:
                harvest.notes.append(
                    f"{place}: its blocks are random (dropout), so that it has adjoints but no "
                    "Jacobians; see eval()"
                )
        return harvest

    def _trace(self, cell: DepthCell, way: list[_Pass]) -> Trace:
        entering = way[0].call.entering
        entered = [step.call.entering for step in way[1:]]
        states = torch.stack([x.flatten(1) for x in (entering, *entered, way[-1].call.leaving)])
        index = torch.arange(len(way), dtype=states.dtype, device=states.device)
        inputs = index[:, None, None].expand(-1, states.shape[1], 1)
        with torch.no_grad(), _same_random():
            again = cell(inputs, states[:-1])
        allowed = 1e4 * torch.finfo(states.dtype).eps * max(1.0, float(states.abs().max()))
        cell.stochastic = not float((again - states[1:]).abs().max()) <= allowed
        trace = Trace(cell, inputs, states.requires_grad_())
        first = self.first if way[0] is self.passes[0] else None
        entries = [
            before.received if step.entered is None else step.entered
            for before, step in pairwise(way)
        ]
        received = [first, *entries, way[-1].received]
        if all(part is None or part.value is None for part in received):
            return trace
        zero = torch.zeros_like(entering)
        totals = [(zero if part is None else part.or_zero(zero)).flatten(1) for part in received]
        return _with_immediate(
            trace, torch.stack(totals), known=first is not None and first.value is not None
        )


def _with_immediate(trace: Trace, totals: Tensor, *, known: bool) -> Trace:
    """A trace with the gradients that arrived, and what of them is immediate.

    Args:
        trace: without them.
        totals: dL/dx_l, which is changed in place.
        known: whether that of the first activation is.
    """
    cell, states = trace.cell, trace.states.detach()
    assert isinstance(cell, DepthCell)
    immediate, linear = torch.zeros_like(totals), None
    immediate[-1] = totals[-1]
    by_input = torch.zeros_like(trace.inputs)
    if not cell.stochastic:
        linear = cell.linearise(trace.inputs, states[:-1], states[1:])
        carried, by_input = linear.vjp(totals[1:])
        if not known:
            totals[0] = carried[0]
        immediate[1:-1] = without_rounding(
            (totals[:-1] - carried)[1:], (totals[:-1].abs() + carried.abs())[1:]
        )
    return Trace(
        cell,
        trace.inputs,
        trace.states,
        immediate=Adjoints(immediate),
        total=Adjoints(totals, by_input=Adjoints(by_input)),
        linear=linear,
    )


def _edge(tensor: Tensor) -> GradientEdge | None:
    return get_gradient_edge(tensor) if tensor.requires_grad else None


def _entering(args: Args, kwargs: Kwargs) -> Tensor | None:
    """The activation among a block's arguments."""
    first = next(iter([*args, *kwargs.values()]), None)
    return first if isinstance(first, Tensor) else None


def _same_random() -> AbstractContextManager[None]:
    """Running a block again draws from the generator and leaves it as it was."""
    ready = torch.cuda.is_available() and torch.cuda.is_initialized()
    return torch.random.fork_rng(devices=[torch.cuda.current_device()] if ready else [])


def containers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Where depth may be looked along, outermost first.

    Lists and sequences of at least two blocks of one class that have parameters.
    """
    outermost: list[tuple[str, nn.Module]] = []
    for name, module in model.named_modules():
        blocks = list(module.children())
        inside = any(
            name == outer or name.startswith(f"{outer}.") for outer, _ in outermost if outer
        )
        if isinstance(module, nn.Sequential | nn.ModuleList) and len(blocks) > 1 and not inside:
            kinds = {type(block) for block in blocks}
            called = not kinds & {nn.ModuleList, nn.ModuleDict}
            if called and len(kinds) == 1 and any(True for _ in blocks[0].parameters()):
                outermost.append((name, module))
    return outermost
