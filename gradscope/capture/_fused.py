"""torch.nn.RNN, LSTM and GRU: all layers, directions and steps in one call, seen from outside and
taken apart afterwards.

The call's inputs, outputs and the gradients that arrive at its outputs are all that is kept.
Afterwards every layer and direction is run again by a cell of ours with the same weights; the top
layer follows the outputs that were seen, dropout between layers is drawn again from the same state
of the generator. The gradient that arrives at the top layer's h_t is its immediate gradient; the
adjoint recursion of one layer gives that of the layer below.
"""

from __future__ import annotations

import copy
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from gradscope.capture._watch import (
    Harvest,
    Received,
    Watch,
    copied,
    full_precision,
    hook,
    several_passes,
    without_rounding,
)
from gradscope.cells import AffineCell, Cell
from gradscope.cells._held import Held
from gradscope.dynamics import Adjoints, adjoints
from gradscope.dynamics.trace import Trace
from gradscope.errors import GradscopeError

#: steps at the beginning within which a module that is run again must give what it gave
_SETTLED = 8


@dataclass
class _Call:
    """One forward pass: tensors are time-major, sequences in the order in which torch runs them
    (packed: longest first).

    All but ``batch`` and ``packed_lengths`` are of the sequences that are to be measured.
    """

    batch: int
    packed_lengths: Tensor | None
    inputs: Tensor
    lengths: Tensor | None
    order: Tensor | None
    start: list[Tensor]  # h_0 and, of an LSTM, c_0: (layers * directions, batch, size)
    given: tuple[
        Any, ...
    ]  # identities and versions of the tensors that the caller gave as the initial state
    detached: bool  # whether these have no gradient to pass on
    autocast: bool
    outputs: Tensor
    weights: dict[str, Tensor]
    training: bool
    random: tuple[Tensor, Tensor | None] | None
    by_output: Received
    by_final: list[Received]
    final: tuple[Tensor, ...]  # kept, so that identities stay unique
    handed_out: tuple[Any, ...]


class _Directed:
    """Turns the time axis so that a recurrence runs forward and every sequence ends at the last
    step.

    Shapes: time-major, (time, batch, ...).
    """

    def __init__(
        self, steps: int, batch: int, lengths: Tensor | None, reverse: bool, device: torch.device
    ):
        self.reverse = reverse
        self.mask: Tensor | None = None
        if lengths is not None and int(lengths.min()) < steps:
            t, shift = (
                torch.arange(steps, device=device)[:, None],
                (steps - lengths.to(device))[None],
            )
            self.mask = t >= shift
            source = steps - 1 - t + torch.zeros_like(shift) if reverse else t - shift
            self.there = source.clamp(0, steps - 1)
            self.back = (steps - 1 - t + torch.zeros_like(shift) if reverse else t + shift).clamp(
                0, steps - 1
            )
            self.real = t < lengths.to(device)[None]

    def forth(self, x: Tensor) -> Tensor:
        """From the caller's time to the recurrence's; zero at steps that are held."""
        if self.mask is None:
            return x.flip(0) if self.reverse else x
        return _gathered(x, self.there, self.mask)

    def home(self, x: Tensor) -> Tensor:
        """From the recurrence's time to the caller's; zero beyond a sequence's end."""
        if self.mask is None:
            return x.flip(0) if self.reverse else x
        return _gathered(x, self.back, self.real)


def _gathered(x: Tensor, index: Tensor, valid: Tensor) -> Tensor:
    while index.dim() < x.dim():
        index, valid = index.unsqueeze(-1), valid.unsqueeze(-1)
    return torch.where(valid, x.gather(0, index.expand(x.shape)), torch.zeros_like(x))


class FusedWatch(Watch):
    """Of one nn.RNN, nn.LSTM or nn.GRU; ``templates`` are cells of the shapes of its layers and
    directions.
    """

    module: nn.RNNBase

    def __init__(
        self,
        name: str,
        module: nn.RNNBase,
        sequences: int | None,
        templates: list[tuple[str, Cell]],
    ):
        super().__init__(name, module)
        self.sequences = slice(sequences)
        self.templates = templates
        self.directions = 2 if module.bidirectional else 1
        self.calls: list[_Call] = []
        self._notes: list[str] = []
        self._random: tuple[Tensor, Tensor | None] | None = None
        self._weights: tuple[Any, dict[str, Tensor]] | None = None
        self._hooks = ExitStack()

    # --- while the model runs ---------------------------------------------------------------------

    def install(self, hooks: ExitStack) -> None:
        """Before a call the generators' state is noted where dropout will draw; after it, what came
        in and went out.
        """
        self._hooks = hooks
        hook(hooks, self.module, self._after, self._before)

    def _before(self, module: nn.RNNBase, args: Any, kwargs: Any) -> None:
        if not (module.dropout and module.training and module.num_layers > 1):
            self._random = None
            return
        weight: Any = module._flat_weights[0]
        if weight.is_cuda and torch.backends.cudnn.enabled:
            raise GradscopeError(
                f"{self.label()!r}: the dropout that cuDNN draws between layers cannot be drawn"
                " again; run the recorded block under torch.backends.cudnn.flags(enabled=False),"
                " or with dropout=0"
            )
        self._random = (
            torch.get_rng_state(),
            torch.cuda.get_rng_state(weight.device) if weight.is_cuda else None,
        )

    def _after(self, module: nn.RNNBase, args: Any, kwargs: Any, output: Any) -> None:
        given = dict(zip(("input", "hx"), args, strict=False)) | kwargs
        inputs, hx = given["input"], given.get("hx")
        out, final = output
        final = final if isinstance(final, tuple) else (final,)
        hx = () if hx is None else tuple(hx) if isinstance(hx, tuple | list) else (hx,)
        lengths = order = None
        if isinstance(inputs, PackedSequence):
            order, plain = inputs.sorted_indices, _padded(inputs)
            outputs, lengths = (
                _padded(out),
                pad_packed_sequence(inputs._replace(unsorted_indices=None, sorted_indices=None))[1],
            )
            seen = out.data
        else:
            plain, outputs, seen = (self._time_major(x) for x in (inputs, out, out))
            seen = out
        start = [copied(part if part.dim() == 3 else part.unsqueeze(1)) for part in hx] or [
            part.new_zeros(part.shape if part.dim() == 3 else (part.shape[0], 1, part.shape[1]))
            for part in final
        ]
        if order is not None:
            start = [part.index_select(1, order) for part in start]
        measured = self.sequences
        self.calls.append(
            _Call(
                batch=plain.shape[1],
                packed_lengths=lengths,
                inputs=copied(plain[:, measured]),
                lengths=None if lengths is None else lengths[measured],
                order=order,
                start=[part[:, measured] for part in start],
                given=_marks(hx),
                detached=not any(part.requires_grad for part in hx),
                autocast=torch.is_autocast_enabled(plain.device.type),
                outputs=copied(outputs[:, measured]),
                weights=self._weights_now(),
                training=module.training,
                random=self._random,
                by_output=Received(seen, self._hooks),
                by_final=[Received(part, self._hooks) for part in final],
                final=final,
                handed_out=_marks(final),
            )
        )

    def _weights_now(self) -> dict[str, Tensor]:
        """Copies, shared by all calls between two changes."""
        now: Any = dict(
            zip(self.module._flat_weights_names, self.module._flat_weights, strict=True)
        )  # type: ignore[arg-type]
        stamp = tuple((id(value), value._version) for value in now.values())
        if self._weights is None or self._weights[0] != stamp:
            self._weights = stamp, {name: copied(value) for name, value in now.items()}
        return self._weights[1]

    def _time_major(self, x: Tensor) -> Tensor:
        if x.dim() == 2:
            return x.unsqueeze(1)
        return x.transpose(0, 1) if self.module.batch_first else x

    # --- afterwards -------------------------------------------------------------------------------

    def harvest(self) -> Harvest:
        """A trace for every layer and direction of every chain of calls, the state handed from one
        to the next.
        """
        harvest, chains = Harvest(), self._chains()
        harvest.notes += several_passes(
            self.label(), [r for call in self.calls for r in (call.by_output, *call.by_final)]
        )
        self._notes = harvest.notes
        harvest.notes += self._changed()
        for index, chain in enumerate(chains):
            layers = [self._layers(call) for call in chain]
            for place, (suffix, _) in enumerate(self.templates):
                parts = (suffix,) if len(self.templates) > 1 else ()
                name = self.label(*parts) + (f" ({index + 1})" if len(chains) > 1 else "")
                harvest.traces[name] = _joined([found[place] for found in layers])
                if self._carried(chain[0]):
                    harvest.carried.add(name)
        return harvest

    def _chains(self) -> list[list[_Call]]:
        chains: list[list[_Call]] = []
        for call in self.calls:
            own = next(
                (chain for chain in chains if call.given and call.given == chain[-1].handed_out),
                None,
            )
            before = None if own is None else own[-1]
            linked = (
                before is not None
                and self.directions == 1
                and call.lengths is None
                and before.lengths is None
                and call.weights is before.weights
                and call.inputs.shape[1] == before.inputs.shape[1]
            )
            own.append(call) if linked and own is not None else chains.append([call])
        return chains

    def _changed(self) -> list[str]:
        """A note where the state of one call came into a later one changed in place."""
        given = {identity: mark for call in self.calls for identity, *mark in call.given}
        made = [(identity, mark) for call in self.calls for identity, *mark in call.handed_out]
        count = sum(identity in given and given[identity][0] != mark[0] for identity, mark in made)
        if not count:
            return []
        return [
            f"{self.label()}: its state was changed in place between two calls, which stand apart"
            f" for it ({count} tensors)"
        ]

    def _carried(self, call: _Call) -> bool:
        return (
            bool(call.given)
            and call.detached
            and any(bool(part.ne(0).any()) for part in call.start)
        )

    def _layers(self, call: _Call) -> list[Trace]:
        """Of one call: bottom up the states, top down the immediate gradients."""
        turned = [
            _Directed(
                len(call.inputs),
                call.inputs.shape[1],
                call.lengths,
                bool(place % self.directions),
                call.inputs.device,
            )
            for place in range(len(self.templates))
        ]
        kept = self._dropout(call)
        traces: list[Trace] = []
        below = call.inputs
        for layer in range(self.module.num_layers):
            places = range(layer * self.directions, (layer + 1) * self.directions)
            shown = (
                call.outputs.chunk(self.directions, dim=-1)
                if layer == self.module.num_layers - 1
                else None
            )
            above = []
            for index, place in enumerate(places):
                seen = None if shown is None else turned[place].forth(shown[index])
                traces.append(self._trace(call, place, turned[place], below, seen))
                above.append(
                    turned[place].home(traces[-1].cell.hidden(traces[-1].states.detach()[1:]))
                )
            below = torch.cat(above, dim=-1) if len(above) > 1 else above[0]
            if layer < len(kept):
                below = below * kept[layer]
        if call.by_output.value is not None or any(
            received.value is not None for received in call.by_final
        ):
            self._immediate(call, traces, turned, kept)
        return traces

    def _trace(
        self, call: _Call, place: int, turn: _Directed, inputs: Tensor, seen: Tensor | None
    ) -> Trace:
        suffix, template = self.templates[place]
        recorded = {
            id(p): nn.Parameter(call.weights[f"{name}_{suffix}"])
            for name, p in template.named_parameters()
        }
        cell: Cell = full_precision(
            copy.deepcopy(template, recorded)
        )  # the same cell with the weights of that time
        with torch.no_grad():
            x = turn.forth(inputs).to(next(cell.parameters()).dtype)
            start = torch.cat([part[place] for part in call.start], dim=-1).to(x.dtype)
            cache: dict[Any, Any] = {}
            if turn.mask is None:
                states, cache, departure = _followed(
                    cell, x.contiguous(), start, None if seen is None else seen.to(x.dtype)
                )
            else:
                cell, x = Held(cell), torch.cat((x, turn.mask[..., None].to(x.dtype)), dim=-1)
                states = cell.scan(x, start)
                departure = x.new_zeros(1)
                if seen is not None:
                    off = (
                        (cell.hidden(states[1:]) - seen).abs().amax(-1).masked_fill(~turn.mask, 0.0)
                    )
                    since = turn.mask.cumsum(0)
                    departure = torch.stack(
                        [off[since == step].max() for step in range(1, int(since.max()) + 1)]
                    )
        self._check(call, departure, suffix)
        return Trace(cell, x.contiguous(), states.requires_grad_(), cache=cache)

    def _dropout(self, call: _Call) -> list[Tensor]:
        """What every layer's output but the last was multiplied by, drawn again; empty without
        dropout.
        """
        if call.random is None:
            return []
        width = self.directions * (self.module.proj_size or self.module.hidden_size)
        device = call.inputs.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.set_rng_state(call.random[0])
            if call.random[1] is not None:
                torch.cuda.set_rng_state(call.random[1], device)
            drawn = []
            for _ in range(self.module.num_layers - 1):
                if call.packed_lengths is None:
                    ones = call.outputs.new_ones(len(call.outputs), call.batch, width)
                    drawn.append(torch.dropout(ones, self.module.dropout, True)[:, self.sequences])
                else:
                    ones = call.outputs.new_ones(int(call.packed_lengths.sum()), width)
                    drawn.append(
                        self._unpacked(call, torch.dropout(ones, self.module.dropout, True))
                    )
        return drawn

    def _unpacked(self, call: _Call, data: Tensor) -> Tensor:
        """A packed sequence's data as (time, batch, ...), of the sequences that are measured."""
        assert call.packed_lengths is not None
        sizes = (
            call.packed_lengths[None] > torch.arange(int(call.packed_lengths.max()))[:, None]
        ).sum(1)
        return pad_packed_sequence(PackedSequence(data, sizes))[0][:, self.sequences]

    def _immediate(
        self, call: _Call, traces: list[Trace], turned: list[_Directed], kept: list[Tensor]
    ) -> None:
        """Give every trace its immediate gradient, top layer first."""
        arriving: Adjoints | None = None
        if call.by_output.value is not None:
            plain = call.by_output.value
            whole = call.packed_lengths is None
            plain = (
                self._time_major(plain)[:, self.sequences] if whole else self._unpacked(call, plain)
            )
            plain = plain.to(traces[0].states.dtype)
            arriving = Adjoints(
                plain, torch.zeros(plain.shape[:2], dtype=torch.float64, device=plain.device)
            )
        for layer in range(self.module.num_layers - 1, -1, -1):
            received: Adjoints | None = None
            for index in range(self.directions):
                place = layer * self.directions + index
                trace, turn = traces[place], turned[place]
                trace = traces[place] = self._with_immediate(
                    call, place, trace, turn, arriving, index
                )
                by_input = adjoints(trace).by_input
                assert by_input is not None
                if layer:
                    felt = (
                        by_input.mantissa[..., :-1] if turn.mask is not None else by_input.mantissa
                    )
                    own = Adjoints(turn.home(felt), turn.home(by_input.log_scale))
                    received = own if received is None else received + own
            if received is not None and layer <= len(kept):
                received = Adjoints(received.mantissa * kept[layer - 1], received.log_scale)
            arriving = received

    def _with_immediate(
        self,
        call: _Call,
        place: int,
        trace: Trace,
        turn: _Directed,
        arriving: Adjoints | None,
        index: int,
    ) -> Trace:
        states = trace.states.detach()
        mantissa = torch.zeros_like(states)
        scale = torch.zeros(states.shape[:2], dtype=torch.float64, device=states.device)
        size = trace.cell.hidden_size
        if arriving is not None:
            own = arriving.mantissa.chunk(self.directions, dim=-1)[index]
            mantissa[1:, :, :size] = turn.forth(own)
            scale[1:] = turn.forth(arriving.log_scale)
        final = self._final(call, place, states)
        if final is not None:
            last = Adjoints(mantissa[-1:], scale[-1:]) + Adjoints(
                final[None], torch.zeros_like(scale[-1:])
            )
            mantissa[-1], scale[-1] = last.mantissa[0], last.log_scale[0]
        return Trace(
            trace.cell,
            trace.inputs,
            trace.states,
            immediate=Adjoints(mantissa, scale),
            cache=trace.cache,
        )

    def _final(self, call: _Call, place: int, states: Tensor) -> Tensor | None:
        """The gradient at h_n and c_n of one layer and direction, side by side."""
        if all(received.value is None for received in call.by_final):
            return None
        parts = []
        for received, tensor in zip(call.by_final, call.final, strict=True):
            value = torch.zeros_like(tensor) if received.value is None else received.value
            value = value.detach() if value.dim() == 3 else value.detach().unsqueeze(1)
            parts.append(
                (value.index_select(1, call.order) if call.order is not None else value)[place][
                    self.sequences
                ]
            )
        return torch.cat(parts, dim=-1).to(states.dtype)

    def _check(self, call: _Call, departure: Tensor, suffix: str) -> None:
        """The layers, run again, give what the module gave; in a chaotic network for a while."""
        kinds = [x.dtype for x in (call.outputs, call.inputs, next(iter(call.weights.values())))]
        precision = (
            torch.finfo(torch.bfloat16).eps
            if call.autocast
            else max(torch.finfo(kind).eps for kind in kinds)
        )
        allowed = 1e4 * precision
        if bool((departure <= allowed).all()) or not bool(call.outputs.isfinite().all()):
            return
        allowed *= max(1.0, float(call.outputs.abs().max()))
        if bool((departure <= allowed).all()):
            return
        first = int((~(departure <= allowed)).nonzero()[0]) + 1
        if first > _SETTLED:
            self._notes.append(
                f"{self.label(suffix)}: from step {first} on, run again, it departs from what it"
                " gave, as rounding is amplified on the way (chaos): what is recorded is of a"
                " trajectory beside the one that was trained on"
            )
            return
        raise GradscopeError(
            f"{self.label()!r}, run again, departs from what it gave by"
            f" {float(departure.max()):.2g}: its step is not the one of torch's module; look for a"
            " subclass or a hook that changes outputs, or weights changed behind torch's back"
        )


def _padded(packed: PackedSequence) -> Tensor:
    """(time, batch, ...) in packed order."""
    return pad_packed_sequence(packed._replace(unsorted_indices=None, sorted_indices=None))[0]


def _marks(tensors: tuple[Tensor, ...]) -> tuple[Any, ...]:
    return tuple((id(part), part._version, part.requires_grad) for part in tensors)


def _followed(
    cell: Cell, inputs: Tensor, start: Tensor, hidden: Tensor | None
) -> tuple[Tensor, dict[Any, Any], Tensor]:
    """(states, what a trace's cache may begin with, departure at each step): as
    ``AffineCell.followed``, for any cell.
    """
    if isinstance(cell, AffineCell):
        states, linear, departure = cell.followed(inputs, start, hidden)
        return states, {"linearised": linear}, departure
    if hidden is None:
        return cell.scan(inputs, start), {}, inputs.new_zeros(1)
    states, size, departures = [start], cell.hidden_size, []
    for x, h in zip(inputs.unbind(0), hidden.unbind(0), strict=True):
        own = cell(x, states[-1])
        departures.append((own[:, :size] - h).abs().max())
        states.append(torch.cat((h, own[:, size:]), dim=-1))
    return torch.stack(states), {}, torch.stack(departures)


def _unheard(trace: Trace) -> Trace:
    """A call that no loss hears, among others that are heard."""
    states = trace.states.detach()
    nothing = Adjoints(
        torch.zeros_like(states),
        torch.zeros(states.shape[:2], dtype=torch.float64, device=states.device),
    )
    return Trace(trace.cell, trace.inputs, trace.states, immediate=nothing, cache=trace.cache)


def _joined(traces: list[Trace]) -> Trace:
    """One trace of a chain of calls. What arrives at the state between two calls is in part what
    the later call sends back.
    """
    if len(traces) == 1:
        return traces[0]
    states = torch.cat(
        [traces[0].states.detach(), *(trace.states.detach()[1:] for trace in traces[1:])]
    )
    inputs = torch.cat([trace.inputs for trace in traces])
    if all(trace.immediate is None for trace in traces):
        return Trace(traces[0].cell, inputs, states.requires_grad_())
    traces = [trace if trace.immediate is not None else _unheard(trace) for trace in traces]
    mantissas, scales = [], []
    for trace, after in zip(traces, [*traces[1:], None], strict=True):
        own = trace.immediate
        if after is not None:
            sent = adjoints(after)
            carried = Adjoints(-sent.mantissa[:1].to(own.mantissa.dtype), sent.log_scale[:1])
            whole = Adjoints(own.mantissa[-1:], own.log_scale[-1:])
            rest = whole + carried
            size = whole.mantissa * (whole.log_scale - rest.log_scale).exp()[..., None].to(
                own.mantissa.dtype
            )
            kept = without_rounding(rest.mantissa, size)
            own = Adjoints(
                torch.cat((own.mantissa[:-1], kept)),
                torch.cat((own.log_scale[:-1], rest.log_scale)),
            )
        first = 1 if mantissas else 0
        mantissas.append(own.mantissa[first:])
        scales.append(own.log_scale[first:])
    immediate = Adjoints(torch.cat(mantissas), torch.cat(scales))
    return Trace(traces[0].cell, inputs, states.requires_grad_(), immediate=immediate)
