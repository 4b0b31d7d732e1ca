"""Modules whose recurrence is a diagonal scan, watched.

What arrives at the module's output, sent back through the function that makes it of the states, is
the immediate gradient dl_t/ds_t.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gradscope.capture._adapters import Adapter
from gradscope.capture._place import Place
from gradscope.capture._scan_cell import DiagonalScan
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
)
from gradscope.dynamics import Adjoints, Trace
from gradscope.errors import GradscopeError

#: how far a module that is run again may depart from what it gave, over its size: beyond the first
#: it is noted, beyond the second refused
_NOTED, _REFUSED = 1e-3, 0.05


@dataclass
class _Call:
    read: dict[str, Tensor]
    output: Tensor
    received: Received


class ScanWatch(Watch):
    """Watches one module that an adapter knows.

    Args:
        name: of the module in the model.
        module: that is watched.
        adapter: that knows its kind.
        sequences: how many of the batch are measured; None is all.
    """

    def __init__(
        self, name: str, module: nn.Module, adapter: type[Adapter], sequences: int | None = None
    ):
        super().__init__(name, module)
        self.adapter, self.stamp = adapter(bare_copy(module)), versions(module)
        self.measured = slice(sequences)
        self.calls: list[_Call] = []
        self.unread = 0

    def put_hooks(self) -> None:
        """Keep what the module reads and gives."""
        self.hook(self.module, self._after)

    def _after(self, module: nn.Module, args: Args, kwargs: Kwargs, output: object) -> None:
        read = self.adapter.read(args, kwargs)
        seen = output[0] if isinstance(output, tuple) else output
        if read is None or not isinstance(seen, Tensor):
            self.unread += 1
            return
        if versions(module) != self.stamp:
            raise GradscopeError(
                f"the weights of '{self.place}' changed within the recorded block: record one "
                "update at a time"
            )
        kept = {name: copied(tensor) for name, tensor in read.items()}
        self.calls.append(_Call(kept, copied(seen), self.receive(seen)))

    def harvest(self) -> Harvest:
        """A trace for every call over a whole sequence."""
        harvest = Harvest()
        if self.unread:
            harvest.notes.append(
                f"{self.place}: {self.unread} calls with a cache, a step at a time, were left out"
            )
        for index, call in enumerate(self.calls):
            place = self.place.in_stretch(index, len(self.calls))
            harvest.recorded.append(Recorded(place, self._trace(call, place, harvest.notes)))
        return harvest

    def _trace(self, call: _Call, place: Place, notes: list[str]) -> Trace:
        with torch.no_grad():
            scanned = self.adapter.scan(call.read)
            x = torch.cat((scanned.decay, scanned.drive), dim=-1).transpose(0, 1).contiguous()
            cell = DiagonalScan(scanned.decay.shape[-1]).to(x)
            states = cell.unroll(x, torch.zeros_like(scanned.drive[:, 0]))
        with torch.enable_grad():
            by_sequence = states.transpose(0, 1).detach().requires_grad_()
            again = self.adapter.output(by_sequence, scanned.needs)
        self._check(call, again, place, notes)
        trace = Trace(cell, x[:, self.measured], states[:, self.measured].requires_grad_())
        if call.received.value is None:
            return trace
        arrived = call.received.value.to(again.dtype)
        (immediate,) = torch.autograd.grad(again, by_sequence, arrived)
        immediate = immediate.transpose(0, 1)[:, self.measured].contiguous()
        return trace.with_losses_of(Adjoints(immediate))

    def _check(self, call: _Call, again: Tensor, place: Place, notes: list[str]) -> None:
        """The output, made again of the states, is what it was."""
        size = float(call.output.abs().max().clamp_min(1e-12))
        departure = float((again.detach() - call.output).abs().max()) / size
        if not departure < _REFUSED:
            raise GradscopeError(
                f"'{self.place}', run again, departs from what it gave by {departure:.0%} of its "
                f"size: this version of {type(self.module).__name__} computes something else than "
                "gradscope knows of"
            )
        if departure > _NOTED:
            dtype = str(call.output.dtype).removeprefix("torch.")
            notes.append(
                f"{place}: run again in {dtype}'s full precision it departs from what it gave by "
                f"{departure:.1e} of its size; its own kernel works in less"
            )
