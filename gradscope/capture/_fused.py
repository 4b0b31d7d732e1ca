"""torch.nn.RNN, LSTM and GRU: all layers, directions and steps in one call, seen from outside.

The call's inputs, outputs and the gradients that arrive at its outputs are all that is kept; it is
taken apart afterwards (``_layers``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from gradscope.capture._ancestry import Ancestry, Laid, Made, Origin, Way, way_between
from gradscope.capture._call import (
    Call,
    Passed,
    RandomState,
    addresses,
    padded,
    tensors_of,
    time_major,
    with_batch,
)
from gradscope.capture._chains import chains_of, of_training
from gradscope.capture._forward import EMPTY
from gradscope.capture._fused_steps import FusedSteps
from gradscope.capture._joined import joined
from gradscope.capture._layers import Layers
from gradscope.capture._place import Place
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
        self._origin = Origin()
        self._random: RandomState | None = None
        self._weights: tuple[tuple[Mark, ...], dict[str, Tensor]] | None = None

    # --- while the model runs -------------------------------------------------------------------

    def put_hooks(self) -> None:
        """Keep the generators' state where dropout will draw, and what goes in and comes out."""
        self.hook(self.module, self._after, self._before)

    def _before(self, module: nn.RNNBase, args: Args, kwargs: Kwargs) -> None:
        self._random, self._origin = None, Origin()
        given = dict(zip(("input", "hx"), args, strict=False)) | kwargs
        came = tensors_of(given.get("hx"))
        if came and self.calls:
            self._origin = self._origin_of(came, given.get("input"))
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

    def _origin_of(self, came: tuple[Tensor, ...], x: object) -> Origin:
        previous, same = self._ancestry.origin(came)
        if previous < 0:
            return Origin()
        call, rnn = self.calls[previous], self.rnn
        if call.packed_lengths is not None or not isinstance(x, Tensor):
            problem = "sequences of several lengths were packed"
            return Origin(previous, Way() if same else None, problem)
        one = rnn.num_layers == 1 and time_major(x, rnn).shape[0] == 1
        fed = self._ancestry.latest([x]) == previous
        made = [
            Made(edge, tensor, _of_state)
            for edge, tensor in zip(call.edges, call.final, strict=False)
        ]
        made.append(Made(call.edges[-1], call.output, lambda tensor: time_major(tensor, rnn)[-1]))

        def way() -> Way | None:
            found = way_between(
                Laid(() if same else came, _of_state),
                Laid((x,), lambda tensor: time_major(tensor, rnn)[0]) if fed and one else None,
                made,
                _with_output,
            )
            return replace(found, unread=True) if found and fed and not one else found

        return Origin.by(previous, way)

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
        if not inputs.shape[1]:
            self.onlooker.unseen[EMPTY] += 1
            return
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
                ended=[copied(with_batch(part)[:, self.measured]) for part in passed.final],
                weights=self._weights_now(),
                random=self._random,
                by_output=self.receive(hooked),
                by_final=[self.receive(part) for part in passed.final],
                final=passed.final,
                edges=self._ancestry.made((*passed.final, hooked), len(self.calls)),
                output=hooked,
                again=recomputing(),
                came_at=addresses(passed.hx),
                origin=self._origin,
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
            ways = [
                [self._of_layer(call.origin.way, position) for call in chain[1:]]
                for position in range(len(self.templates))
            ]
            if len(chain) > 1 and all(len(call.inputs) == 1 for call in chain):
                traces = FusedSteps(layers, chain).taken_apart(ways)
            else:
                calls = zip(*map(layers.taken_apart, chain), strict=True)
                traces = [joined(parts, of) for parts, of in zip(calls, ways, strict=True)]
            for (suffix, _), trace in zip(self.templates, traces, strict=True):
                place = self._layer(suffix).in_stretch(index, len(chains))
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
        unbroken, said = chains_of(
            self.calls, there, self.place, fits=self._fits, steps=lambda call: len(call.inputs)
        )
        notes += said
        return unbroken

    def _fits(self, before: Call, after: Call) -> bool:
        return (
            self.directions == 1
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
