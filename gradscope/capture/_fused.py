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

from gradscope.capture._call import Call, Passed, RandomState, padded, time_major
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
        self._random: RandomState | None = None
        self._weights: tuple[tuple[Mark, ...], dict[str, Tensor]] | None = None

    # --- while the model runs -------------------------------------------------------------------

    def put_hooks(self) -> None:
        """Keep the generators' state where dropout will draw, and what goes in and comes out."""
        self.hook(self.module, self._after, self._before)

    def _before(self, module: nn.RNNBase, args: Args, kwargs: Kwargs) -> None:
        self._random = None
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
        self.calls.append(
            Call(
                batch=inputs.shape[1],
                packed_lengths=lengths,
                inputs=copied(inputs[:, self.measured]),
                lengths=None if lengths is None else lengths[self.measured],
                order=order,
                start=[part[:, self.measured] for part in start],
                given=marks(passed.hx),
                detached=not any(part.requires_grad for part in passed.hx),
                autocast=torch.is_autocast_enabled(inputs.device.type),
                outputs=copied(outputs[:, self.measured]),
                weights=self._weights_now(),
                random=self._random,
                by_output=self.receive(hooked),
                by_final=[self.receive(part) for part in passed.final],
                final=passed.final,
                handed_out=marks(passed.final),
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
        harvest = Harvest(notes=[*several_passes(self.place, received), *self._changed()])
        layers = Layers(self.rnn, self.place, self.templates, self.measured, harvest.notes)
        chains = self._chains()
        for index, chain in enumerate(chains):
            calls = [layers.taken_apart(call) for call in chain]
            for position, (suffix, _) in enumerate(self.templates):
                place = self._layer(suffix).in_stretch(index, len(chains))
                trace = joined([traces[position] for traces in calls])
                harvest.recorded.append(Recorded(place, trace, chain[0].carried))
        return harvest

    def _layer(self, suffix: str) -> Place:
        """The place of one layer and direction; the module's where it has but one."""
        if len(self.templates) == 1:
            return self.place
        number, _, direction = suffix.removeprefix("l").partition("_")
        return replace(self.place, layer=int(number), reverse=bool(direction))

    def _chains(self) -> list[list[Call]]:
        """Calls in which each one's state is handed on to the next."""
        chains: list[list[Call]] = []
        for call in self.calls:
            chain = next((c for c in chains if call.given and call.given == c[-1].handed_out), None)
            if chain is not None and self._linked(chain[-1], call):
                chain.append(call)
            else:
                chains.append([call])
        return chains

    def _linked(self, before: Call, after: Call) -> bool:
        return (
            self.directions == 1
            and before.lengths is None
            and after.lengths is None
            and before.weights is after.weights
            and before.inputs.shape[1] == after.inputs.shape[1]
        )

    def _changed(self) -> list[str]:
        """A note where the state of one call came into a later one changed in place."""
        given = {mark.identity: mark.version for call in self.calls for mark in call.given}
        made = [mark for call in self.calls for mark in call.handed_out]
        count = sum(given.get(mark.identity, mark.version) != mark.version for mark in made)
        if not count:
            return []
        return [
            f"{self.place}: its state was changed in place between two calls, which stand apart "
            f"for it ({count} tensors)"
        ]
