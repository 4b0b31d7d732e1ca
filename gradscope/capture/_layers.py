"""A call of torch.nn.RNN, LSTM or GRU taken apart: a trace for every layer and direction.

Every layer and direction is run again by a cell of ours with the same weights; the top layer is
forced along the outputs that were seen, dropout between layers is drawn again from the same state
of the generator. The gradient that arrives at the top layer's h_t is its immediate gradient; the
adjoint recursion of one layer gives that of the layer below.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from gradscope.capture._call import Call, time_major, with_batch
from gradscope.capture._directions import Direction
from gradscope.capture._place import Place
from gradscope.capture._watch import full_precision
from gradscope.cells import Cell, Forced
from gradscope.dynamics import Adjoints, Trace, adjoints
from gradscope.errors import GradscopeError

#: steps at the beginning within which a module that is run again must give what it gave
_SETTLED = 8


class Layers:
    """Takes calls of one module apart.

    Args:
        module: that was called.
        place: of the module, for messages.
        templates: torch's suffix and a cell of its shape, for every layer and direction.
        measured: the sequences of the batch to take.
        notes: gains what the reader should know.
    """

    def __init__(
        self,
        module: nn.RNNBase,
        place: Place,
        templates: Sequence[tuple[str, Cell]],
        measured: slice,
        notes: list[str],
    ):
        self.module, self.place, self.templates = module, place, templates
        self.measured, self.notes = measured, notes
        self.directions = 2 if module.bidirectional else 1

    def taken_apart(self, call: Call) -> list[Trace]:
        """A trace for each template: bottom up the states, top down the immediate gradients."""
        steps, batch = call.inputs.shape[:2]
        turns = [
            Direction(
                steps,
                batch,
                call.lengths,
                reverse=bool(position % self.directions),
                device=call.inputs.device,
            )
            for position in range(len(self.templates))
        ]
        dropped = self.dropout(call)
        traces: list[Trace] = []
        below = call.inputs
        for layer in range(self.module.num_layers):
            top = layer == self.module.num_layers - 1
            outputs = call.outputs.chunk(self.directions, dim=-1) if top else None
            above = []
            for index in range(self.directions):
                turn = turns[layer * self.directions + index]
                seen = None if outputs is None else turn.to_own(outputs[index])
                traces.append(self._trace(call, len(traces), turn, below, seen))
                hidden = traces[-1].cell.hidden(traces[-1].states.detach()[1:])
                above.append(turn.to_caller(hidden))
            below = torch.cat(above, dim=-1) if len(above) > 1 else above[0]
            if layer < len(dropped):
                below = below * dropped[layer]
        if any(received.value is not None for received in call.received):
            return self._with_gradients(call, traces, turns, dropped)
        return traces

    # --- bottom up: states ----------------------------------------------------------------------

    def _trace(
        self, call: Call, position: int, turn: Direction, inputs: Tensor, seen: Tensor | None
    ) -> Trace:
        cell = self.cell(call, position)
        dtype = next(cell.parameters()).dtype
        with torch.no_grad():
            x = turn.to_own(inputs).to(dtype).contiguous()
            start = torch.cat([part[position] for part in call.start], dim=-1).to(dtype)
            known = None if seen is None else seen.to(dtype)
            if turn.mask is None:
                forced = cell.teacher_forced(x, start, known)
            else:
                forced = _held(cell, x, start, known, turn.mask)
        self.check(call, forced.mismatch, self.templates[position][0])
        states = forced.states.requires_grad_()
        return Trace(cell, x, states, mask=turn.mask, linear=forced.linear)

    def cell(self, call: Call, position: int) -> Cell:
        """One layer and direction, with the weights of that time."""
        suffix, template = self.templates[position]
        recorded = {
            id(parameter): nn.Parameter(call.weights[f"{name}_{suffix}"])
            for name, parameter in template.named_parameters()
        }
        return full_precision(copy.deepcopy(template, recorded))

    def check(self, call: Call, mismatch: Tensor, suffix: str) -> None:
        """The layers, run again, give what the module gave; in a chaotic network for a while."""
        dtypes = {call.outputs.dtype, call.inputs.dtype, next(iter(call.weights.values())).dtype}
        epsilon = max(torch.finfo(dtype).eps for dtype in dtypes)
        allowed = 1e4 * (torch.finfo(torch.bfloat16).eps if call.autocast else epsilon)
        if bool((mismatch <= allowed).all()) or not bool(call.outputs.isfinite().all()):
            return
        allowed *= max(1.0, float(call.outputs.abs().max()))
        wrong = ~(mismatch <= allowed)
        if not bool(wrong.any()):
            return
        name = self.place.recurrence
        first = int(wrong.nonzero()[0]) + 1
        if first > _SETTLED:
            layer = f"{name}.{suffix}" if self.place.module else suffix
            self.notes.append(
                f"{layer}: from step {first} on, run again, it departs from what it gave, as "
                "rounding is amplified on the way (chaos): what is recorded is of a trajectory "
                "beside the one that was trained on"
            )
            return
        raise GradscopeError(
            f"{name!r}, run again, departs from what it gave by {float(mismatch.max()):.2g}: its "
            "step is not the one of torch's module; look for a subclass or a hook that changes "
            "outputs, or weights changed behind torch's back"
        )

    def dropout(self, call: Call) -> list[Tensor]:
        """What every layer's output but the last was multiplied by; empty without dropout."""
        if call.random is None:
            return []
        width = self.directions * (self.module.proj_size or self.module.hidden_size)
        device, like = call.inputs.device, call.outputs
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            call.random.restore(device)
            drawn = []
            for _ in range(self.module.num_layers - 1):
                if call.packed_lengths is None:
                    ones = like.new_ones(len(like), call.batch, width)
                    factors = torch.dropout(ones, self.module.dropout, True)[:, self.measured]
                else:
                    ones = like.new_ones(int(call.packed_lengths.sum()), width)
                    factors = self._unpacked(
                        call.packed_lengths, torch.dropout(ones, self.module.dropout, True)
                    )
                drawn.append(factors)
        return drawn

    def _unpacked(self, lengths: Tensor, data: Tensor) -> Tensor:
        """A packed sequence's data as (time, batch, ...), of the sequences that are measured."""
        sizes = (lengths[None] > torch.arange(int(lengths.max()))[:, None]).sum(1)
        return pad_packed_sequence(PackedSequence(data, sizes))[0][:, self.measured]

    # --- top down: gradients --------------------------------------------------------------------

    def _with_gradients(
        self, call: Call, traces: list[Trace], turns: list[Direction], dropped: list[Tensor]
    ) -> list[Trace]:
        """Every trace with its immediate gradient, top layer first."""
        heard = list(traces)
        at_output = self.at_output(call)
        arriving = None if at_output is None else Adjoints(at_output.to(traces[0].states))
        for layer in range(self.module.num_layers - 1, -1, -1):
            received: Adjoints | None = None
            for index in range(self.directions):
                position = layer * self.directions + index
                turn = turns[position]
                immediate = self._immediate(call, position, traces[position], turn, arriving, index)
                heard[position] = traces[position].with_losses_of(immediate)
                by_input = adjoints(heard[position]).by_input
                assert by_input is not None
                if layer:
                    sent = turn.adjoints_to_caller(by_input)
                    received = sent if received is None else received + sent
            if received is not None and layer <= len(dropped):
                received = Adjoints(received.mantissa * dropped[layer - 1], received.log_scale)
            arriving = received
        return heard

    def at_output(self, call: Call) -> Tensor | None:
        """The gradient that arrived at the output, time-major; None where none did."""
        gradient = call.by_output.value
        if gradient is None:
            return None
        if call.packed_lengths is None:
            return time_major(gradient, self.module)[:, self.measured]
        return self._unpacked(call.packed_lengths, gradient)

    def _immediate(
        self,
        call: Call,
        position: int,
        trace: Trace,
        turn: Direction,
        arriving: Adjoints | None,
        index: int,
    ) -> Adjoints:
        states, size = trace.states.detach(), trace.cell.hidden_size
        immediate = Adjoints(torch.zeros_like(states))
        if arriving is not None:
            of_direction = arriving.mantissa.chunk(self.directions, dim=-1)[index]
            immediate.mantissa[1:, :, :size] = turn.to_own(of_direction)
            immediate.log_scale[1:] = turn.to_own(arriving.log_scale)
        if any(received.value is not None for received in call.by_final):
            final = Adjoints(self.at_final(call, position).to(states)[None])
            last = Adjoints(immediate.mantissa[-1:], immediate.log_scale[-1:]) + final
            immediate.mantissa[-1], immediate.log_scale[-1] = last.mantissa[0], last.log_scale[0]
        return immediate

    def at_final(self, call: Call, position: int) -> Tensor:
        """The gradient at h_n and c_n of one layer and direction, side by side."""
        parts = []
        for received, tensor in zip(call.by_final, call.final, strict=True):
            gradient = with_batch(received.or_zero(tensor).detach())
            if call.order is not None:
                gradient = gradient.index_select(1, call.order)
            parts.append(gradient[position][self.measured])
        return torch.cat(parts, dim=-1)


def _held(cell: Cell, x: Tensor, start: Tensor, seen: Tensor | None, mask: Tensor) -> Forced:
    """All states of sequences that are held at their beginning; what is seen is only compared."""
    states = [start]
    for step, taken in zip(x.unbind(0), mask.unbind(0), strict=True):
        states.append(torch.where(taken[:, None], cell(step, states[-1]), states[-1]))
    whole = torch.stack(states)
    if seen is None:
        return Forced(whole, None, x.new_zeros(1))
    misses = (cell.hidden(whole[1:]) - seen).abs().amax(-1).masked_fill(~mask, 0.0)
    since = mask.cumsum(0)
    mismatch = [misses[since == step].max() for step in range(1, int(since.max()) + 1)]
    return Forced(whole, None, torch.stack(mismatch))
