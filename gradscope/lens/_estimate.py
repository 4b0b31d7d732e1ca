"""The mean Jacobian from every layer to the last, by gradients of one channel after another."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gradscope.dynamics import Trace
from gradscope.errors import GradscopeError
from gradscope.lens._lens import DepthLens

#: which derivative of a token: of the same position, or summed over those that it reaches
Position = Literal["same", "all"]


def depth_lens(
    *traces: Trace,
    position: Position = "same",
    axis: int = -1,
    mask: Bool[Tensor, "batch token"] | None = None,
    exact: bool = False,
    seed: int = 0,
) -> DepthLens:
    """The mean Jacobian E[d h_L / d h_l] of a stack, over positions and sequences, for every l.

    ``same`` is E_t[d h_L[t] / d h_l[t]], of a position's own last activation; ``all`` is E_t[sum
    over u of d h_L[u] / d h_l[t]], of everything that it moves, by attention too. A gradient for
    each channel of h_L serves all layers and positions: ``all`` is exact for the sequences given;
    ``same`` tells positions apart by random signs, without bias, and with noise that is in the
    standard errors.

        lens = gradscope.depth_lens(scope.trace("blocks.depth"))
        lens.mean[0]  # (channel, channel), axes (out, in); lens.standard_errors()[0] beside it

    Args:
        traces: of one stack (``attach(depth=...)``), each of other sequences; or of a recurrence.
        position: ``same`` or ``all``.
        axis: along which the channels lie: -1 for tokens, 0 for images; others are positions.
        mask: which positions count, where some are padding; the same for every trace.
        exact: tell positions apart by a gradient for each, at as many times the cost.
        seed: of the random signs.

    Returns:
        A ``DepthLens``.

    Raises:
        GradscopeError: without a trace, for another position or axis, a mask that does not fit, or
            blocks that are random.

    Reference: Belrose et al. (2023), Eliciting latent predictions from transformers with the tuned
    lens; Hernandez et al. (2024), Linearity of relation decoding in transformer language models.
    """
    if not traces:
        raise GradscopeError("depth_lens takes one trace or more, got none")
    if position not in ("same", "all"):
        raise GradscopeError(f"position should be 'same' or 'all', got {position!r}")
    lens: DepthLens | None = None
    for index, trace in enumerate(traces):
        found = _Estimate(trace, axis, mask).lens(position, exact=exact, seed=seed + index)
        if lens is None:
            lens = found
        else:
            lens.merge(found)
    assert lens is not None
    return lens


class _Estimate:
    """The mean over one trace."""

    def __init__(self, trace: Trace, axis: int, mask: Tensor | None):
        size = trace.states.shape[-1]
        shape = getattr(trace.cell, "state_shape", (size,))
        if not -len(shape) <= axis < len(shape):
            raise GradscopeError(f"axis {axis} is none of an activation of shape {tuple(shape)}")
        if trace.time == 0:
            raise GradscopeError("the trace is empty: a Jacobian needs at least one layer")
        self.trace, self.shape, self.axis = trace, tuple(shape), axis % len(shape)
        self.channels = self.shape[self.axis]
        self.positions = size // self.channels
        counted = torch.ones(trace.batch, self.positions, dtype=torch.bool)
        if mask is not None:
            if mask.shape != counted.shape:
                raise GradscopeError(
                    f"the mask should be {tuple(counted.shape)}, got {tuple(mask.shape)}"
                )
            counted = mask
        if not bool(counted.any(-1).all()):
            raise GradscopeError("every sequence needs a position that counts")
        self.counted = counted.to(trace.states)

    @torch.no_grad()
    def lens(self, position: Position, *, exact: bool, seed: int) -> DepthLens:
        """The mean, and how the sequences differ from it."""
        trace, size = self.trace, self.channels
        options = {"dtype": torch.float64, "device": trace.states.device}
        mean = torch.zeros(trace.time, size, size, **options)
        squares = torch.zeros_like(mean)
        generator = torch.Generator().manual_seed(seed)
        for channel in range(size):
            rows = self._rows(channel, position, exact, generator)  # (layer, batch, channel)
            mean[:, channel] = rows.mean(1)
            squares[:, channel] = (rows - rows.mean(1, keepdim=True)).square().sum(1)
        states = self._tokens(trace.states.detach().double())
        weights = self.counted.double()[None, :, :, None]
        mean_state = (states * weights).sum((1, 2)) / weights.sum()
        tokens = int(self.counted.sum())
        return DepthLens(mean, squares, mean_state, trace.batch, tokens, position)

    def _rows(
        self, channel: int, position: Position, exact: bool, generator: torch.Generator
    ) -> Float[Tensor, "layer batch channel"]:
        """A row of each sequence's mean Jacobian."""
        weight = self.counted
        if position == "all":
            total = self._back(channel, weight) * weight[..., None]
        elif exact:
            units = torch.eye(self.positions).to(weight)
            total = sum(
                self._back(channel, unit * weight) * unit[:, None] for unit in units.unbind(0)
            )
        else:
            drawn = torch.randint(2, weight.shape, generator=generator)
            signs = (2 * drawn - 1).to(weight) * weight
            total = self._back(channel, signs) * signs[..., None]
        assert isinstance(total, Tensor)
        return total.sum(2).double() / weight.sum(-1).double()[None, :, None]

    def _back(
        self, channel: int, weight: Float[Tensor, "batch token"]
    ) -> Float[Tensor, "layer batch token channel"]:
        """d (sum over t of weight[t] h_L[t, channel]) / d h_l, for every l but the last."""
        trace = self.trace
        arriving = torch.zeros(trace.batch, self.positions, self.channels).to(weight)
        arriving[..., channel] = weight
        flat, linear, found = self._state(arriving), trace.linearisation(), []
        for step in range(trace.time - 1, -1, -1):
            flat = linear.at(slice(step, step + 1)).vjp(flat[None].contiguous())[0][0]
            found.append(flat)
        return self._tokens(torch.stack(found[::-1]))

    def _tokens(self, states: Tensor) -> Float[Tensor, "*any token channel"]:
        """States as positions and channels."""
        lead = states.shape[:-1]
        shaped = states.reshape(*lead, *self.shape).movedim(len(lead) + self.axis, -1)
        return shaped.reshape(*lead, self.positions, self.channels)

    def _state(self, tokens: Float[Tensor, "batch token channel"]) -> Tensor:
        """The other way round."""
        rest = [size for axis, size in enumerate(self.shape) if axis != self.axis]
        shaped = tokens.reshape(len(tokens), *rest, self.channels)
        return shaped.movedim(-1, 1 + self.axis).reshape(len(tokens), -1)
