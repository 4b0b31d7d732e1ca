"""The trace of a recurrence with a matrix for a state, from what one call computed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.capture._again import departure_notes
from gradscope.capture._kernel import KernelCall
from gradscope.capture._lazy_trace import LazyTrace, Source
from gradscope.capture._matrix_cell import MatrixScan
from gradscope.capture._place import Place
from gradscope.capture._resets import resets_of
from gradscope.capture._watch import Received
from gradscope.dynamics import Adjoints, MatrixRecurrence, Trace
from gradscope.dynamics.heads import Streamed
from gradscope.errors import GradscopeError

#: bytes that the states of one trace may take
_STATES = 2**26


class CallSource:
    """What one call computes; what is too large is read again when it is asked for.

    Args:
        call: the recurrence.
        again: reads it again.
        given: the tensors that the kernel was given, each with its version.
    """

    def __init__(
        self,
        call: KernelCall,
        again: Callable[[], KernelCall | None],
        given: list[tuple[Tensor, int]],
    ):
        self._again, self._given = again, given
        self._call = call if call.bytes <= _STATES else None

    def call(self, place: Place) -> KernelCall:
        """The recurrence.

        Raises:
            GradscopeError: if an argument was changed in place since.
        """
        if any(tensor._version != version for tensor, version in self._given):
            raise GradscopeError(
                f"what '{place}' gave to its kernel was changed in place afterwards, so that it "
                "could not be looked at; change a copy (clone()) within the recorded block"
            )
        with torch.no_grad():
            call = self._call or self._again()
        assert call is not None
        return call


class Seen:
    """One call: what it computes, what came out, and what arrived there.

    Args:
        source: of the recurrence.
        output: as it was given.
        received: the gradient that arrives at it.
        carried: whether it begins in a state that came, detached, from an earlier step.

    Attributes:
        version: of the output when it was given, which changes if it is changed in place.
        trains: whether a gradient can come back to it.
    """

    def __init__(
        self, source: CallSource, output: Tensor, received: Received, carried: bool = False
    ):
        self.source, self.received, self.carried = source, received, carried
        self.output, self.version = output.detach(), output._version
        self.trains = output.requires_grad


def matrix_trace(seen: Seen, place: Place, kind: str, measured: slice) -> tuple[Trace, list[str]]:
    """The trace of a call, and what the reader should know of it.

    Its whole state is made again, to be compared with what was given; a trace keeps of it what fits
    into 64 MiB: all columns of the value axis, or as many random mixes of them, whose Jacobians are
    the same. Such a trace makes its tensors when they are asked for.

    Args:
        seen: the call.
        place: where.
        kind: the module's class.
        measured: which sequences.

    Raises:
        GradscopeError: if what was given is not what such a recurrence gives.
    """
    source, call = seen.source, seen.source.call(place)
    whole = call.recurrence()
    with torch.no_grad():
        run = _Run.of(whole)
    notes = _check(seen, call, run.reads, place, kind)
    by_read = _by_read(seen, call, run.reads)
    by_read = None if by_read is None else by_read[:, measured].contiguous()
    part, last = _of(whole, measured), run.last[measured].clone()
    mix = _mix(part)
    if mix is None:
        states = None if run.states is None else run.states[:, measured]
        return Streamed(lambda: part, by_read, last).kept_in(_trace(part, states, by_read)), notes
    notes.append(
        f"{place}: a state of {part.key.shape[-2]} heads of {part.key.shape[-1]} x "
        f"{part.value.shape[-1]} over {part.time} steps is too large to keep; kept are "
        f"{mix.shape[1]} random mixes of its value columns, whose Jacobians are those of all "
        "columns. Adjoint norms by head are of the whole state"
    )

    def again() -> MatrixRecurrence:
        return _of(source.call(place).recurrence(), measured)

    def made(recurrence: MatrixRecurrence) -> Trace:
        mixed = None if by_read is None else by_read @ mix * _share(mix)
        return _trace(recurrence.columns(mix), None, mixed)

    trace = Streamed(again, by_read, last).kept_in(made(part))
    return _lazy(trace, lambda: made(again())), notes


def _lazy(trace: Trace, make: Callable[[], Trace]) -> LazyTrace:
    """The trace, of which what findings ask of every trace is known without making it again."""
    resets_of(trace)
    source = Source(make, trace.time, trace.batch, trace.immediate is not None, trace.cache)
    return LazyTrace.of(trace, source)


class _Run(NamedTuple):
    """A recurrence that was run again.

    Attributes:
        reads: what is read at every step.
        last: S_T.
        states: of all steps; None where they are too large to keep.
    """

    reads: Float[Tensor, "time batch head value"]
    last: Float[Tensor, "batch head key value"]
    states: Float[Tensor, "times batch head key value"] | None

    @classmethod
    def of(cls, whole: MatrixRecurrence) -> _Run:
        """Run it, and keep what fits."""
        if _column(whole) * whole.value.shape[-1] <= _STATES:
            states = whole.all_states()
            return cls(whole.outputs_of(states), states[-1], states)
        return cls(*whole.outputs_and_last(), None)


def _trace(kept: MatrixRecurrence, states: Tensor | None, by_read: Tensor | None) -> Trace:
    cell = MatrixScan.of(kept)
    with torch.no_grad():
        states = (kept.all_states() if states is None else states).flatten(-3)
        inputs = cell.packed(kept)
    trace = Trace(cell, inputs, states.detach().requires_grad_())
    return trace if by_read is None else trace.with_losses_of(ReadAdjoints(kept, by_read))


class ReadAdjoints(Adjoints):
    """Immediate gradients q_t (dL/do_t)^T, written out, as long as the states, when asked for.

    Args:
        recurrence: whose states are read.
        by_read: dL/do_t.
    """

    def __init__(
        self, recurrence: MatrixRecurrence, by_read: Float[Tensor, "time batch head value"]
    ):
        self._recurrence, self._by_read = recurrence, by_read
        shape = recurrence.time + 1, by_read.shape[1]
        self.log_scale = torch.zeros(shape, dtype=torch.float64, device=by_read.device)
        self.by_input = self._log_norms = None

    @cached_property
    def mantissa(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The vectors, (time + 1, batch, state)."""
        return self._recurrence.immediate(self._by_read).flatten(-3)


def _column(part: MatrixRecurrence) -> int:
    """Bytes of one column of the value axis over all steps."""
    return (part.time + 1) * part.key[0].numel() * part.key.element_size()


def _of(whole: MatrixRecurrence, measured: slice) -> MatrixRecurrence:
    """The recurrence of some sequences."""
    if measured == slice(None):
        return whole
    start = None if whole.start is None else whole.start[measured]
    chosen = whole.transitions[:, measured]
    key, value, query = (part[:, measured] for part in (whole.key, whole.value, whole.query))
    return MatrixRecurrence(chosen, key, value, query, start, whole.reads_before)


def _mix(part: MatrixRecurrence) -> Float[Tensor, "value column"] | None:
    """The mixes of columns that a trace keeps; None where it keeps them all."""
    value = part.value.shape[-1]
    columns = max(1, min(value, _STATES // max(1, _column(part))))
    if columns == value:
        return None
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(value, columns, generator=generator, dtype=torch.float64)
    return torch.linalg.qr(drawn)[0].to(part.value)


def _share(mix: Tensor) -> float:
    """What makes the gradient of the mixes of the size that the whole has."""
    return (mix.shape[0] / mix.shape[1]) ** 0.5


def _by_read(
    seen: Seen, call: KernelCall, reads: Tensor
) -> Float[Tensor, "time batch head value"] | None:
    """dL/do_t of what is read of the state, from what arrived at the kernel's output."""
    arrived = seen.received.value
    if arrived is None:
        return None
    if call.tail is None:
        return arrived.to(reads.dtype).transpose(0, 1)
    reads = reads.transpose(0, 1).detach().requires_grad_()
    with torch.enable_grad():
        output = call.tail(reads)
    (by_read,) = torch.autograd.grad(output, reads, arrived.to(output.dtype))
    return by_read.transpose(0, 1)


def _check(seen: Seen, call: KernelCall, reads: Tensor, place: Place, kind: str) -> list[str]:
    """The output, made again of the states, is what it was.

    Raises:
        GradscopeError: if it is not.
    """
    with torch.no_grad():
        again = reads.transpose(0, 1)
        again = again if call.tail is None else call.tail(again)
    changed = seen.output._version != seen.version
    return departure_notes(again, seen.output, changed=changed, place=place, kind=kind)
