"""Calls of torch.nn.RNN, LSTM or GRU that take one step each, taken apart all at once.

h_n and c_n of such calls are the states of every layer at every step: nothing has to be run again
to find them, and the steps of a layer are linearised together, as those of a cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gradscope.capture._ancestry import Way
from gradscope.capture._call import Call
from gradscope.capture._layers import Layers
from gradscope.capture._whole_step import with_totals, with_ways
from gradscope.dynamics import Trace


class FusedSteps:
    """A chain of calls of one step each, none of them packed or in two directions.

    Args:
        layers: of the module that was called.
        chain: the calls.
    """

    def __init__(self, layers: Layers, chain: Sequence[Call]):
        self.layers, self.chain = layers, chain

    def taken_apart(self, ways: Sequence[Sequence[Way | None]]) -> list[Trace]:
        """A trace for each layer: bottom up the states, top down the immediate gradients.

        Args:
            ways: for each layer, from the state that each call made to what came into the next.
        """
        dropped = self._dropped()
        traces: list[Trace] = []
        below = torch.cat([call.inputs for call in self.chain])
        for position, between in enumerate(ways):
            traces.append(self._trace(position, below, between))
            below = traces[-1].cell.hidden(self._made(position).to(traces[-1].states))
            if position < len(dropped):
                below = below * dropped[position]
        if all(received.value is None for call in self.chain for received in call.received):
            return traces
        few = slice(traces[0].batch)
        arriving = self._at_outputs()[:, few].to(traces[0].states)
        for position in reversed(range(len(traces))):
            totals = self._at_finals(position)[:, few].to(arriving)
            totals[..., : arriving.shape[-1]] += arriving
            traces[position], arriving = with_totals(traces[position], totals)
            if 0 < position <= len(dropped):
                arriving = arriving * dropped[position - 1][:, few]
        return traces

    def _trace(self, position: int, x: Tensor, ways: Sequence[Way | None]) -> Trace:
        suffix = self.layers.templates[position][0]
        cell = self.layers.cell(self.chain[0], position)
        like = next(cell.parameters())
        came = torch.stack(
            [torch.cat([part[position] for part in call.start], dim=-1) for call in self.chain]
        ).to(like)
        made, x = self._made(position).to(like), x.to(like)
        with torch.no_grad():
            mismatch = (cell(x, came) - made).abs().amax()
        largest = max(self.chain, key=lambda call: float(call.outputs.abs().max()))
        self.layers.check(largest, mismatch[None], suffix)
        states = torch.cat((came[:1], made))
        cell, x, states = with_ways(cell, x, states, came, [None, *ways])
        return Trace(cell, x, states.requires_grad_())

    def _made(self, position: int) -> Tensor:
        """The states that the calls made in one layer, ``(time, batch, state)``."""
        return torch.stack(
            [torch.cat([part[position] for part in call.ended], dim=-1) for call in self.chain]
        )

    def _dropped(self) -> list[Tensor]:
        """What every layer's output but the last was multiplied by; empty without dropout."""
        drawn = [self.layers.dropout(call) for call in self.chain]
        return [torch.cat(factors) for factors in zip(*drawn, strict=True)]

    def _at_outputs(self) -> Tensor:
        """The gradient that arrived at the outputs, ``(time, batch, hidden)``."""
        parts = [self.layers.at_output(call) for call in self.chain]
        zero = torch.zeros_like(self.chain[0].outputs)
        return torch.cat([zero if part is None else part for part in parts])

    def _at_finals(self, position: int) -> Tensor:
        """The gradient that arrived at h_n and c_n of one layer, ``(time, batch, state)``."""
        return torch.stack([self.layers.at_final(call, position) for call in self.chain])
