"""The trace of a recurrence with a matrix for a state, from what one call computed."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.capture._kernel import KernelCall
from gradscope.capture._matrix_cell import MatrixScan
from gradscope.capture._place import Place
from gradscope.capture._watch import Received
from gradscope.dynamics import Adjoints, MatrixRecurrence, Trace
from gradscope.dynamics.heads import Streamed
from gradscope.errors import GradscopeError

#: how far outputs that are made again may depart from those that were given, over their size:
#: beyond the first it is noted, beyond the second refused
_NOTED, _REFUSED = 1e-3, 0.05
#: bytes that the states of one trace may take
_STATES = 2**26


class Seen:
    """One call: what it computes, what came out, and what arrived there.

    Args:
        call: the recurrence.
        output: as it was given.
        received: the gradient that arrives at it.
        given: the tensors that the kernel was given, each with its version.
        carried: whether it begins in a state that came, detached, from an earlier step.

    Attributes:
        version: of the output when it was given, which changes if it is changed in place.
        trains: whether a gradient can come back to it.
    """

    def __init__(
        self,
        call: KernelCall,
        output: Tensor,
        received: Received,
        given: list[tuple[Tensor, int]],
        carried: bool = False,
    ):
        self.call, self.received, self.given, self.carried = call, received, given, carried
        self.output, self.version = output.detach(), output._version
        self.trains = output.requires_grad

    def refuse_changes(self, place: Place) -> None:
        """Refuse a call whose arguments are no longer what they were.

        Raises:
            GradscopeError: if one was changed in place.
        """
        if any(tensor._version != version for tensor, version in self.given):
            raise GradscopeError(
                f"what '{place}' gave to its kernel was changed in place afterwards, so that it "
                "could not be looked at; change a copy (clone()) within the recorded block"
            )


def matrix_trace(seen: Seen, place: Place, kind: str, measured: slice) -> tuple[Trace, list[str]]:
    """The trace of a call, and what the reader should know of it.

    Its whole state is made again, to be compared with what was given; a trace keeps of it what fits
    into 64 MiB: all columns of the value axis, or as many random mixes of them, whose Jacobians are
    the same.

    Args:
        seen: the call.
        place: where.
        kind: the module's class.
        measured: which sequences.

    Raises:
        GradscopeError: if what was given is not what such a recurrence gives.
    """
    seen.refuse_changes(place)
    whole = seen.call.recurrence()
    with torch.no_grad():
        run = _Run.of(whole)
    notes = _check(seen, run.reads, place, kind)
    by_read = _by_read(seen, run.reads)
    part = _of(whole, measured)
    by_read = None if by_read is None else by_read[:, measured].contiguous()
    kept, mix = _kept(part)
    if mix is not None:
        notes.append(
            f"{place}: a state of {part.key.shape[-2]} heads of {part.key.shape[-1]} x "
            f"{part.value.shape[-1]} over {part.time} steps is too large to keep; kept are "
            f"{mix.shape[1]} random mixes of its value columns, whose Jacobians are those of all "
            "columns. Adjoint norms by head are of the whole state"
        )
    states = None if run.states is None or mix is not None else run.states[:, measured]
    trace = _trace(kept, states, None if by_read is None else _mixed(by_read, mix))
    return Streamed(part, by_read, run.last[measured].clone()).kept_in(trace), notes


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
        reads, states = [], whole.states()
        state = next(states)
        for t, after in enumerate(states):
            reads.append(whole.read(t, state if whole.reads_before else after))
            state = after
        return cls(torch.stack(reads), state, None)


def _trace(kept: MatrixRecurrence, states: Tensor | None, by_read: Tensor | None) -> Trace:
    cell = MatrixScan.of(kept)
    with torch.no_grad():
        states = (kept.all_states() if states is None else states).flatten(-3)
        inputs = cell.packed(kept)
    trace = Trace(cell, inputs, states.detach().requires_grad_())
    if by_read is None:
        return trace
    return trace.with_losses_of(Adjoints(kept.immediate(by_read).flatten(-3)))


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


def _kept(part: MatrixRecurrence) -> tuple[MatrixRecurrence, Tensor | None]:
    """What a trace keeps of a recurrence, and the mix of columns; None where it keeps them all."""
    value = part.value.shape[-1]
    columns = max(1, min(value, _STATES // max(1, _column(part))))
    if columns == value:
        return part, None
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(value, columns, generator=generator, dtype=torch.float64)
    mix = torch.linalg.qr(drawn)[0].to(part.value)
    return part.columns(mix), mix


def _mixed(by_read: Tensor, mix: Tensor | None) -> Tensor:
    """The gradient of the mixes: what of it lies along them, of the size that the whole has."""
    if mix is None:
        return by_read
    return by_read @ mix * (mix.shape[0] / mix.shape[1]) ** 0.5


def _by_read(seen: Seen, reads: Tensor) -> Float[Tensor, "time batch head value"] | None:
    """dL/do_t of what is read of the state, from what arrived at the kernel's output."""
    arrived = seen.received.value
    if arrived is None:
        return None
    if seen.call.tail is None:
        return arrived.to(reads.dtype).transpose(0, 1)
    reads = reads.transpose(0, 1).detach().requires_grad_()
    with torch.enable_grad():
        output = seen.call.tail(reads)
    (by_read,) = torch.autograd.grad(output, reads, arrived.to(output.dtype))
    return by_read.transpose(0, 1)


def _check(seen: Seen, reads: Tensor, place: Place, kind: str) -> list[str]:
    """The output, made again of the states, is what it was.

    Raises:
        GradscopeError: if it is not.
    """
    if seen.output._version != seen.version:
        return [f"{place}: its output was changed in place, so that it could not be checked"]
    with torch.no_grad():
        again = reads.transpose(0, 1)
        again = again if seen.call.tail is None else seen.call.tail(again)
    given = seen.output.to(again.dtype)
    known = given.isfinite()
    given, again = given.where(known, 0), again.where(known, 0)
    size = float(given.abs().max().clamp_min(1e-12))
    departure = float((again - given).abs().max()) / size
    if not departure < _REFUSED:
        raise GradscopeError(
            f"'{place}', run again, departs from what it gave by {departure:.0%} of its size: this "
            f"version of {kind} computes something else than gradscope knows of"
        )
    if departure > _NOTED:
        dtype = str(seen.output.dtype).removeprefix("torch.")
        return [
            f"{place}: run again in full precision it departs from what it gave, in {dtype}, by "
            f"{departure:.1e} of its size"
        ]
    return []
