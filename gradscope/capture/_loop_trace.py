"""A loop that was found, as a trace: its states, and the gradients that arrived at them."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Size, Tensor

from gradscope.capture._loop_calls import Kept
from gradscope.capture._loop_cell import Layout, LoopCell
from gradscope.capture._loop_program import Program
from gradscope.capture._loop_search import Found
from gradscope.capture._loop_states import States, states_of
from gradscope.capture._place import Place
from gradscope.capture._watch import Harvest, Recorded
from gradscope.capture._whole_step import WholeStep
from gradscope.dynamics import Adjoints, Trace
from gradscope.errors import GradscopeError

#: rounding of a step run again, in units of eps, that is taken for no loss
_ROUNDING = 1e3


def recorded(loop: Found, place: Place, kept: Kept, harvest: Harvest) -> None:
    """Add the trace of a loop, and what its reader should know.

    Raises:
        GradscopeError: if its steps cannot be run again, or give something else then.
    """
    states = states_of(loop)
    program = Program(loop, states, kept)
    cell, rows = _cell(loop, program, states, kept)
    inputs = WholeStep.numbered(rows.new_zeros(states.time, rows.shape[1], 0))
    trace = Trace(cell, inputs, rows.requires_grad_())
    if any(received.value is not None for received in kept.received.values()):
        trace = trace.with_losses_of(Adjoints(_immediate(trace, cell, states, kept)))
    harvest.notes += _notes(place, loop, states, cell)
    harvest.recorded.append(Recorded(place, trace, module=loop.module, kind=loop.kind))


def _cell(loop: Found, program: Program, states: States, kept: Kept) -> tuple[LoopCell, Tensor]:
    """The loop's steps, and its states; samples lie along the first axis that keeps them apart."""
    tensors = _states(program, states, kept)
    problem = None
    for axis in _axes(states.shapes):
        layout = Layout(states.shapes, axis)
        whole = torch.stack([layout.rows(row) for row in tensors])
        whole = whole.to(torch.promote_types(whole.dtype, torch.float32))
        cell = LoopCell(program, layout, whole)
        if problem is None:
            _check(cell, whole, loop)
            problem = ""
        if axis is None or not _meet(cell, whole):
            return cell, whole
    raise AssertionError("the last axis is None")


@torch.no_grad()
def _states(program: Program, states: States, kept: Kept) -> list[list[Tensor]]:
    """The tensors of every state; those that were changed in place since are made again."""
    blank = next(iter(kept.tensors.values()))
    made: list[list[Tensor]] = []
    for step, row in enumerate(states.rows):
        missing = [value is not None and value not in kept.tensors for value in row]
        if any(missing) and not step:
            raise GradscopeError("what first came into it was changed in place afterwards")
        again = program.run(step, made[-1], trained=False) if any(missing) else [blank] * len(row)
        made.append(
            [
                blank.new_zeros(shape) if value is None else kept.tensors.get(value, other)
                for value, shape, other in zip(row, states.shapes, again, strict=True)
            ]
        )
    return made


def _axes(shapes: list[Size]) -> list[int | None]:
    """Axes along which all tensors are as long, and None."""
    shared = min(len(shape) for shape in shapes)
    same = [i for i in range(min(2, shared)) if len({shape[i] for shape in shapes}) == 1]
    return [*same, None]


def _check(cell: LoopCell, states: Tensor, loop: Found) -> None:
    """Every step, taken again, gives what it gave.

    Raises:
        GradscopeError: if not.
    """
    lowered = any(call.lowered for call in loop.calls)
    given = loop.calls[0].made[0].ref()
    dtype = states.dtype if given is None else given.dtype
    epsilon = torch.finfo(torch.bfloat16 if lowered else dtype).eps
    allowed = (1e4 if epsilon < 1e-5 else 16) * epsilon * max(1.0, float(states.abs().max()))
    for step, (before, after) in enumerate(pairwise(states), start=1):
        try:
            with torch.no_grad():
                again = cell.layer(step, before)
        except GradscopeError:
            raise
        except Exception as error:
            raise GradscopeError(
                f"step {step} cannot be taken again: {type(error).__name__}: {error}"
            ) from error
        both = again.isfinite() & after.isfinite()
        departs = float(torch.where(both, again - after, 0).abs().max())
        if departs > allowed:
            raise GradscopeError(
                f"step {step}, taken again, gives another state (by {departs:.2g}): it is not a "
                "function of its arguments alone. Keep no state inside the module, and draw no "
                "random numbers but torch's own"
            )


@torch.no_grad()
def _meet(cell: LoopCell, states: Tensor) -> bool:
    """Whether one sample's state changes what becomes of another's."""
    if cell.layout.batch < 2:
        return False
    step = cell.program.states.time
    changed = states[step - 1].clone()
    changed[0] = changed[0] * 0.9 + 0.1
    again, other = cell.layer(step, states[step - 1]), cell.layer(step, changed)
    size = 64 * torch.finfo(states.dtype).eps * max(1.0, float(again.abs().max()))
    return float((again - other)[1:].abs().max()) > size


def _immediate(trace: Trace, cell: LoopCell, states: States, kept: Kept) -> Tensor:
    """dl_t/ds_t: what arrived at each tensor, less what the training sent back from later ones."""
    rows = trace.states.detach()
    linear = cell.as_trained().linearise(trace.inputs, rows[:-1], rows[1:])
    immediate = torch.zeros_like(rows)
    carried = torch.zeros_like(rows[0])
    for t in range(states.time, 0, -1):
        total = carried.clone()
        for part, value, fresh in zip(cell.parts, states.rows[t], states.fresh[t], strict=True):
            received = kept.received.get(value) if fresh and value is not None else None
            if value is None or received is None:
                continue  # where no gradient was asked for, it is what later steps send back
            own = Layout([value.shape], cell.layout.axis)
            arrived = own.rows([received.or_zero(rows.new_zeros(value.shape))]).to(rows)
            left = arrived - carried[:, part]
            size = arrived.abs() + carried[:, part].abs()
            immediate[t][:, part] = _rounded(left, size)
            total[:, part] = arrived
        carried = linear.at(slice(t - 1, t)).vjp(total[None])[0][0]
    return immediate


def _rounded(left: Tensor, whole: Tensor) -> Tensor:
    """Zero where only the rounding of steps that were run again is left."""
    size = torch.linalg.vector_norm(whole, dim=-1, keepdim=True)
    kept = torch.linalg.vector_norm(left, dim=-1, keepdim=True)
    return torch.where(kept > _ROUNDING * torch.finfo(left.dtype).eps * size, left, 0)


def _notes(place: Place, loop: Found, states: States, cell: LoopCell) -> list[str]:
    """What was found, and how it is read."""
    tensors = " and ".join(str(tuple(shape)) for shape in states.shapes)
    names = ", ".join(c.name or type(c.module).__name__ for c in loop.candidates[:4])
    notes = [
        f"{place}: found as a loop: {names} called {len(loop.calls)} times on what came of its own "
        f"output. A step ends {states.where}; its state is what later calls need: {tensors}"
        + ("" if cell.layout.axis is not None else " (samples meet in it: it is taken as one)")
    ]
    if loop.changed:
        notes.append(
            f"{place}: its weights changed within the recorded block; {loop.changed} later call"
            f"{'s' * (loop.changed > 1)} are left out: record one update at a time"
        )
    silent = sum(not call.grad for call in loop.calls)
    if silent:
        notes.append(
            f"{place}: {silent} of its {len(loop.calls)} calls were made without a gradient; they "
            "were run again with one, so that Jacobians and adjoints are of all steps"
        )
    return notes
