"""xLSTM's scalar memory, a module that runs over a whole sequence, watched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gradscope.capture._again import departure_notes
from gradscope.capture._place import Place
from gradscope.capture._slstm_cell import SlstmCell, run
from gradscope.capture._watch import (
    Args,
    Harvest,
    Kwargs,
    Received,
    Recorded,
    Watch,
    bare_copy,
    copied,
    full_precision,
    recomputing,
    several_passes,
    versions,
)
from gradscope.dynamics import Adjoints, Trace
from gradscope.errors import GradscopeError

#: names of the classes, and the attributes that they have
_CLASSES = ("sLSTMCell_vanilla", "sLSTMCell_cuda")
_ATTRIBUTES = ("_recurrent_kernel", "_bias", "_recurrent_kernel_int2ext", "_bias_int2ext")
#: options by which a kernel's backward pass is another than that of its equation
_CUT = ("gradient_recurrent_cut", "gradient_recurrent_clipval", "forward_clipval")
ABOUT = "exponential gates and a normaliser (sLSTM)"


def is_slstm(module: nn.Module) -> bool:
    """Whether a module is the cell of the package xlstm; no library is imported to know it."""
    known = type(module).__name__ in _CLASSES and hasattr(module, "config")
    return known and all(hasattr(module, name) for name in _ATTRIBUTES)


def problem(module: nn.Module) -> str:
    """Why such a module cannot be watched; empty if it can."""
    held: Any = module
    config, kind = held.config, type(module).__name__
    if getattr(config, "function", "slstm") != "slstm":
        return (
            f"{kind} with function={config.function!r} has gates that are not exponential, which "
            "is not read; a module that calls it one step at a time can be named in steps="
        )
    cut = [name for name in _CUT if getattr(config, name, None) not in (None, False)]
    if kind != _CLASSES[0] and cut:
        return f"{kind} with {cut[0]}, by which its gradients are not those of its equation"
    return ""


@dataclass(eq=False)
class _Call:
    """One call.

    Attributes:
        x: what the gates were given.
        start: the state that came in.
        output: h of all steps, as it was given.
        version: of the output, which changes if it is changed in place.
        received: the gradient that arrives at it.
        ended: that which arrives at the last state.
        trains: whether a gradient can come back.
        carried: whether it begins in a state that came, detached, from an earlier step.
    """

    x: Tensor
    start: Tensor | None
    output: Tensor
    version: int
    received: Received
    ended: Received
    trains: bool
    carried: bool


class SlstmWatch(Watch):
    """Watches one module.

    Args:
        name: of the module in the model.
        module: that is watched.
        sequences: how many of the batch are measured; None is all.
    """

    def __init__(self, name: str, module: nn.Module, sequences: int | None = None):
        super().__init__(name, module)
        self.measured, self.stamp = slice(sequences), versions(module)
        held: Any = module
        copy = full_precision(bare_copy(module))
        self.cell = SlstmCell(copy, held.config.num_heads, held.config.hidden_size)
        self.batch_first: bool = held.config.input_shape.startswith("B")
        self.output_shape: str = held.config.output_shape
        self.calls: list[_Call] = []
        self.unread = 0

    def put_hooks(self) -> None:
        """Keep what goes in and comes out."""
        self.hook(self.module, self._after)

    def _after(self, module: nn.Module, args: Args, kwargs: Kwargs, result: object) -> None:
        given = dict(zip(("input", "state"), args, strict=False)) | kwargs
        x, start = given.get("input"), given.get("state")
        if not isinstance(x, Tensor) or not isinstance(result, tuple):
            return
        output, ended = result
        if recomputing():
            self._hear_again(output, ended)
            return
        if versions(self.module) != self.stamp:
            raise GradscopeError(
                f"the weights of '{self.place}' changed within the recorded block: record one "
                "update at a time"
            )
        x = x.transpose(0, 1) if self.batch_first else x
        if len(x) < 2:
            self.unread += 1
            return
        begun = isinstance(start, Tensor)
        self.calls.append(
            _Call(
                copied(x),
                copied(start) if begun else None,
                output.detach(),
                output._version,
                self.receive(output),
                self.receive(ended),
                output.requires_grad,
                begun and not start.requires_grad and bool(start.any()),
            )
        )

    def _hear_again(self, output: Tensor, ended: Tensor) -> None:
        """A call without a graph that is made again with one (checkpointing) hears its gradient."""
        for call in reversed(self.calls):
            if not call.trains and torch.equal(call.output, output.detach()):
                call.received, call.ended = self.receive(output), self.receive(ended)
                call.trains = output.requires_grad
                return

    def harvest(self) -> Harvest:
        """A trace for every call over a whole sequence."""
        heard = [part for call in self.calls for part in (call.received, call.ended)]
        harvest = Harvest(notes=several_passes(self.place, heard))
        if self.unread:
            calls = "1 call" if self.unread == 1 else f"{self.unread} calls"
            were = "was" if self.unread == 1 else "were"
            harvest.notes.append(f"{self.place}: {calls} of a single step {were} left out")
        for index, call in enumerate(self.calls):
            place = self.place.in_stretch(index, len(self.calls))
            trace, notes = self._trace(call, place)
            harvest.recorded.append(Recorded(place, trace, carried=call.carried))
            harvest.notes += notes
        self.calls.clear()
        return harvest

    def _trace(self, call: _Call, place: Place) -> tuple[Trace, list[str]]:
        kind, size = type(self.module).__name__, self.cell.hidden_size
        dtype = next(self.cell.parameters()).dtype
        whole = run(self.cell, call.x.to(dtype), call.start)
        notes = departure_notes(
            whole.states[1:, :, :size],
            self._by_time(call.output),
            changed=call.output._version != call.version,
            place=place,
            kind=kind,
        )
        inputs, states = whole.inputs[:, self.measured], whole.states[:, self.measured]
        trace = Trace(self.cell, inputs, states.clone().requires_grad_())
        arrived, last = call.received.value, call.ended.value
        if arrived is None and last is None:
            return trace, notes
        immediate = torch.zeros_like(whole.states)
        if arrived is not None:
            immediate[1:, :, :size] = self._by_time(arrived)
        if last is not None:  # a unit is not felt
            immediate[-1] += torch.cat(tuple(last[:3]), dim=-1)
        return trace.with_losses_of(Adjoints(immediate[:, self.measured])), notes

    def _by_time(self, output: Tensor) -> Tensor:
        """h of all steps as (time, batch, hidden), in whatever layout it was given."""
        time = self.output_shape.index("S")
        heads = self.output_shape.index("N") if "N" in self.output_shape else None
        order = (time, self.output_shape.index("B"), *([] if heads is None else [heads]), -1)
        return output.permute(order).flatten(2)
