"""torch.nn.RNN, LSTM and GRU: all layers, directions and steps in one call, seen from outside.

The call's inputs, outputs and the gradients that arrive at its outputs are all that is kept; it is
taken apart afterwards (``_layers``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from gradscope.capture._ancestry import Ancestry, Laid, Made, Way, way_between
from gradscope.capture._call import Call, Passed, RandomState, padded, tensors_of, time_major
from gradscope.capture._joined import joined
from gradscope.capture._layers import Layers
from gradscope.capture._place import Place
from gradscope.capture._step_calls import (
    apart_notes,
    detached_notes,
    of_training,
    way_notes,
)
from gradscope.capture._watch import (
    Args,
    Harvest,
    Kwargs,
    Mark,
    Recorded,
    Watch,
    copied,
    marks,
    recomputing,
    several_passes,
)
from gradscope.cells import Cell
from gradscope.cells._conversion import named_weights
from gradscope.errors import GradscopeError


class FusedWatch(Watch):
    """Watches one nn.RNN, nn.LSTM or nn.GRU.

    Args:
        name: of the module in the model.
        module: that is watched.
        sequences: how many of the batch are measured; None is all.
        templates: torch's suffix and a cell of its shape, for every layer and direction.
    """

    def __init__(
        self,
        name: str,
        module: nn.RNNBase,
        sequences: int | None,
        templates: Sequence[tuple[str, Cell]],
    ):
        super().__init__(name, module)
        self.rnn = module
        self.measured = slice(sequences)
        self.templates = templates
        self.directions = 2 if module.bidirectional else 1
        self.calls: list[Call] = []
        self._ancestry = Ancestry()
        self._found: tuple[int, Way | None, str] = (-1, None, "")
        self._random: RandomState | None = None
        self._weights: tuple[tuple[Mark, ...], dict[str, Tensor]] | None = None

    # --- while the model runs -------------------------------------------------------------------

    def put_hooks(self) -> None:
        """Keep the generators' state where dropout will draw, and what goes in and comes out."""
        self.hook(self.module, self._after, self._before)

    def _before(self, module: nn.RNNBase, args: Args, kwargs: Kwargs) -> None:
        self._random, self._found = None, (-1, None, "")
        given = dict(zip(("input", "hx"), args, strict=False)) | kwargs
        came = tensors_of(given.get("hx"))
        if came and self.calls:
            self._found = self._way(came, given.get("input"))
        if not (module.dropout and module.training and module.num_layers > 1):
            return
        device = named_weights(module)[0][1].device
        if device.type == "cuda" and torch.backends.cudnn.enabled:
            raise GradscopeError(
                f"'{self.place}': the dropout that cuDNN draws between layers cannot be drawn "
                "again; run the recorded block under torch.backends.cudnn.flags(enabled=False), or "
                "with dropout=0"
            )
        self._random = RandomState.now(device)

    def _way(self, came: tuple[Tensor, ...], x: object) -> tuple[int, Way | None, str]:
        """Which call the state comes from, the way from what that made, or why there is none."""
        previous, same = self._ancestry.origin(came)
        if previous < 0:
            return -1, None, ""
        call, rnn = self.calls[previous], self.rnn
        if call.packed_lengths is not None or not isinstance(x, Tensor):
            return previous, Way() if same else None, "sequences of several lengths were packed"
        one = rnn.num_layers == 1 and time_major(x, rnn).shape[0] == 1
        fed = self._ancestry.latest([x]) == previous
        made = [
            Made(edge, tensor, _of_state)
            for edge, tensor in zip(call.edges, call.final, strict=False)
        ]
        made.append(Made(call.edges[-1], call.output, lambda tensor: time_major(tensor, rnn)[-1]))
        try:
            way = way_between(
                Laid(() if same else came, _of_state),
                Laid((x,), lambda tensor: time_major(tensor, rnn)[0]) if fed and one else None,
                made,
                _with_output,
            )
        except RuntimeError as error:
            return previous, None, f"what lies between two calls cannot be followed ({error})"
        if way is None:
            return previous, None, "the batch was another one than at the call before"
        return previous, replace(way, unread=True) if fed and not one else way, ""

    def _after(self, module: nn.RNNBase, args: Args, kwargs: Kwargs, result: object) -> None:
        passed = Passed.of(module, args, kwargs, result)
        start = passed.initial_state()
        order = lengths = None
        if isinstance(passed.inputs, PackedSequence) and isinstance(passed.output, PackedSequence):
            order = passed.inputs.sorted_indices
            inputs, lengths = padded(passed.inputs)
            outputs, hooked = padded(passed.output)[0], passed.output.data
            if order is not None:
                start = [part.index_select(1, order) for part in start]
        else:
            assert isinstance(passed.inputs, Tensor)
            assert isinstance(passed.output, Tensor)
            inputs, outputs = (time_major(x, module) for x in (passed.inputs, passed.output))
            hooked = passed.output
        self._ancestry.known(passed.final, len(self.calls))
        self.calls.append(
            Call(
                batch=inputs.shape[1],
                packed_lengths=lengths,
                inputs=copied(inputs[:, self.measured]),
                lengths=None if lengths is None else lengths[self.measured],
                order=order,
                start=[part[:, self.measured] for part in start],
                detached=not any(part.requires_grad for part in passed.hx),
                autocast=torch.is_autocast_enabled(inputs.device.type),
                outputs=copied(outputs[:, self.measured]),
                weights=self._weights_now(),
                random=self._random,
                by_output=self.receive(hooked),
                by_final=[self.receive(part) for part in passed.final],
                final=passed.final,
                edges=self._ancestry.made((*passed.final, hooked), len(self.calls)),
                output=hooked,
                again=recomputing(),
                came=frozenset(part.data_ptr() for part in passed.hx),
                previous=self._found[0],
                way=self._found[1],
                problem=self._found[2],
            )
        )

    def _weights_now(self) -> dict[str, Tensor]:
        """Copies, shared by all calls between two changes."""
        weights = named_weights(self.rnn)
        stamp = marks(value for _, value in weights)
        if self._weights is None or self._weights[0] != stamp:
            self._weights = stamp, {name: copied(value) for name, value in weights}
        return self._weights[1]

    # --- afterwards -----------------------------------------------------------------------------

    def harvest(self) -> Harvest:
        """A trace for every layer and direction of every chain of calls."""
        received = [gradient for call in self.calls for gradient in call.received]
        harvest = Harvest(notes=several_passes(self.place, received))
        layers = Layers(self.rnn, self.place, self.templates, self.measured, harvest.notes)
        chains = self._chains(harvest.notes)
        for index, chain in enumerate(chains):
            calls = [layers.taken_apart(call) for call in chain]
            for position, (suffix, _) in enumerate(self.templates):
                place = self._layer(suffix).in_stretch(index, len(chains))
                ways = [self._of_layer(call.way, position) for call in chain[1:]]
                trace = joined([traces[position] for traces in calls], ways)
                harvest.recorded.append(Recorded(place, trace, chain[0].carried))
        return harvest

    def _of_layer(self, way: Way | None, layer: int) -> Way:
        """The part of a way from one layer's state to itself."""
        assert way is not None
        if way.state is None:
            return way
        shown, size = self.rnn.proj_size or self.rnn.hidden_size, self.rnn.hidden_size
        begin, count = layer * shown, self.rnn.num_layers * shown
        places = list(range(begin, begin + shown))
        if isinstance(self.rnn, nn.LSTM):
            places += range(count + layer * size, count + (layer + 1) * size)
        own = way.state[:, places]
        return replace(way, state=own if own.dim() == 2 else own[:, :, places])

    def _layer(self, suffix: str) -> Place:
        """The place of one layer and direction; the module's where it has but one."""
        if len(self.templates) == 1:
            return self.place
        number, _, direction = suffix.removeprefix("l").partition("_")
        return replace(self.place, layer=int(number), reverse=bool(direction))

    def _chains(self, notes: list[str]) -> list[list[Call]]:
        """Calls of which each goes on from the state that the one before made."""
        there = of_training(self.calls, self.place, notes)
        unbroken, of_call, apart = list[list[Call]](), dict[int, list[Call]](), Counter[str]()
        detached = 0
        kept = {id(call) for call in there}
        for number, call in enumerate(self.calls):
            if id(call) not in kept:
                continue
            chain = of_call.get(call.previous)
            before = None if chain is None else chain[-1]
            if before is not None and self._linked(before, call) and call.way is not None:
                chain = [] if chain is None else chain
                chain.append(call)
            else:
                if before is not None and call.problem:
                    apart[call.problem] += 1
                detached += before is None and any(call.goes_on_from(c[-1]) for c in unbroken)
                unbroken.append(chain := [call])
            of_call[number] = chain
        ways = [call.way for chain in unbroken for call in chain[1:]]
        notes += apart_notes(self.place, apart) + way_notes(self.place, ways)
        lengths = [sum(len(call.inputs) for call in chain) for chain in unbroken]
        notes += detached_notes(self.place, detached, lengths)
        return unbroken

    def _linked(self, before: Call, after: Call) -> bool:
        return (
            before is self.calls[after.previous]
            and self.directions == 1
            and before.lengths is None
            and after.lengths is None
            and before.weights is after.weights
            and before.inputs.shape[1] == after.inputs.shape[1]
        )


def _of_state(tensor: Tensor) -> Tensor:
    """h_n or c_n, (layers, batch, size) or (layers, size), as (batch, layers * size)."""
    return tensor.movedim(1, 0).flatten(1) if tensor.dim() == 3 else tensor.flatten()[None]


def _with_output(parts: list[Tensor]) -> Tensor:
    """Rows of h_n, of an LSTM c_n, and of the last output, which is the last layer's h_n again."""
    h, *cells, output = parts
    below = h[..., : h.shape[-1] - output.shape[-1]]
    top = h[..., h.shape[-1] - output.shape[-1] :] + output
    return torch.cat((below, top, *cells), dim=-1)
