"""Depth as time: a stack of blocks x_{l+1} = F_l(x_l), watched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from gradscope.capture._cuts import cut
from gradscope.capture._depth_trace import Passage, trace_of
from gradscope.capture._passage import LOST, Layers, LostError
from gradscope.capture._program import Operation
from gradscope.capture._stack import Stack
from gradscope.capture._tape import Tape
from gradscope.capture._watch import (
    Args,
    Harvest,
    Kwargs,
    Recorded,
    Watch,
    bare_copy,
    full_precision,
    recomputing,
    versions,
)
from gradscope.capture._way import Cut, Way
from gradscope.errors import GradscopeError

#: ways through the blocks in one recorded block that are all kept; of more, as of a stack inside a
#: loop over time, the last
_PASSES = 4


class DepthWatch(Watch):
    """Watches the blocks of a stack, and what the model does between them.

    Args:
        stack: which they are.
        model: that they are part of.
    """

    def __init__(self, stack: Stack, model: nn.Module):
        super().__init__(stack.name, stack.module)
        self.place = replace(self.place, along_depth=True)
        self.model = model
        self.layer_of = {
            block: index for index, layer in enumerate(stack.layers) for block in layer
        }
        self.group = [len(layer) for layer in stack.layers]
        # before any update
        self.copies = {block: full_precision(bare_copy(block)) for block in self.layer_of}
        self.stamps = {block: versions(block) for block in self.layer_of}
        self.tape = Tape(self.onlooker, self._settle)
        self.ways: list[Way] = []
        self.passages: list[Passage] = []
        self.problems: dict[str, None] = {}
        self.went, self.called, self.lowered = 0, False, False
        self._inside: Operation | None = None
        self._called: list[nn.Module] = []

    # --- while the model runs -------------------------------------------------------------------

    def put_hooks(self) -> None:
        """Keep what enters and leaves every block, and what is computed between them."""
        for block in self.layer_of:
            self.hook(block, self._after, self._before)
        self.hooks.enter_context(self.tape)

    def _before(self, block: nn.Module, args: Args, kwargs: Kwargs) -> None:
        if recomputing() or self._inside is not None:
            return
        if versions(block) != self.stamps[block]:
            raise GradscopeError(
                f"the weights of '{self.place.owner}' changed within the recorded "
                "block before a block was called: record one update at a time, its optimiser step "
                "at the end"
            )
        self._inside = self.tape.enter(block, args, kwargs)
        self.tape.paused += 1  # until it has been called

    def _after(self, block: nn.Module, args: Args, kwargs: Kwargs, output: object) -> None:
        operation = self._inside
        if recomputing() or operation is None or operation.function is not block:
            return
        self.lowered |= self._is_lowered(operation)
        self.tape.leave(operation, self.copies[block], output)
        came = max((self.tape.latest[number] for number in operation.reads), default=-1)
        self._inside, self.called = None, True
        self.tape.paused -= 1
        if came < 0 and self.ways and self.tape.is_lost(operation.reads):
            self.problems[LOST] = None
        self._go_on(block, len(self.tape.operations) - 1, came)

    def _is_lowered(self, operation: Operation) -> bool:
        """Whether it ran in half precision."""
        tensors = [self.tape.tensors[number] for number in operation.takes]
        devices = {tensor.device.type for tensor in tensors}
        half = any(tensor.dtype in (torch.float16, torch.bfloat16) for tensor in tensors)
        return half or any(torch.is_autocast_enabled(device) for device in devices)

    def _go_on(self, block: nn.Module, place: int, came: int) -> None:
        """A call is part of a layer, the next layer, or the first one of another way."""
        way, index = (self.ways[-1] if self.ways else None), self.layer_of[block]
        if way is not None and self._called:
            same = self.layer_of[self._called[-1]] == index and block not in self._called
            if same and self.group[index] > 1:
                way.layers[-1].append(place)
                self._called.append(block)
                return
            if came >= self.tape.operations[way.layers[-1][0]].call:
                way.layers.append([place])
                self._called = [block]
                return
        self.ways.append(Way([[place]]))
        self._called = [block]

    def _settle(self) -> None:
        """Cut what ran so far into layers, before a backward pass lets go of it."""
        if self._inside is not None:
            return
        ways, count = self.ways, len(self.tape.operations)
        for index, way in enumerate(ways):
            way.start = ways[index - 1].layers[-1][-1] + 1 if index else 0
            way.stop = ways[index + 1].layers[0][0] if index + 1 < len(ways) else count
        long = [way for way in ways if len(way.layers) > 1]
        self.went += len(long)
        for way in long[-_PASSES:]:
            passage = self._passage(way)
            if passage is not None:
                self.passages.append(passage)
        if ways:
            self.ways, self._called = [], []
            self.tape.clear()

    def _passage(self, way: Way) -> Passage | None:
        buffers = {id(buffer) for buffer in self.model.buffers()}
        found = cut(self.tape, way, buffers)
        problem = found.problem
        if found.states:
            try:
                return self._made(way, found)
            except LostError as error:
                problem = str(error)
        self.problems[problem or _NO_WAY] = None
        return None

    def _made(self, way: Way, found: Cut) -> Passage:
        layers = Layers(self.tape, way, found, self._names())
        operations = self.tape.operations
        blocks = [
            [operations[place].function for place in layer] for layer in way.layers[found.missing :]
        ]
        return Passage(
            layers.made(),
            layers.values(),
            [
                [self.receive(self.tape.tensors[n], self.tape.edges[n]) for n in state.tensors]
                for state in found.states
            ],
            [_together(layer) for layer in blocks],
            layers.between,
            lowered=self.lowered,
            missing=found.missing,
        )

    def _names(self) -> dict[int, str]:
        return {id(weight): name for name, weight in self.model.named_parameters()}

    # --- afterwards -----------------------------------------------------------------------------

    def harvest(self) -> Harvest:
        """One trace for each way through the blocks."""
        self._settle()
        harvest = Harvest()
        passages = self.passages
        harvest.notes += [f"{self.place.owner}: {problem}" for problem in self.problems]
        if self.called and not passages and not self.problems:
            harvest.notes.append(f"{self.place.owner}: {_NO_WAY}")
        if self.went > _PASSES:
            harvest.notes.append(
                f"{self.place.owner}: went through {self.went} times; the last time is shown"
            )
            passages = passages[-1:]
        for index, passage in enumerate(passages):
            place = self.place.in_stretch(index, len(passages))
            trace, notes = trace_of(passage)
            harvest.recorded.append(Recorded(place, trace))
            harvest.notes += [f"{place}: {note}" for note in notes]
        return harvest


#: said where no block's result reaches another
_NO_WAY = (
    "no block's output was the next one's input, so that there is no depth to look along; name the "
    "container whose modules are called one after another"
)


def _together(blocks: list[Callable[..., object]]) -> nn.Module:
    """The blocks of one layer as one module."""
    modules = [block for block in blocks if isinstance(block, nn.Module)]
    return modules[0] if len(modules) == 1 else nn.ModuleList(modules)
