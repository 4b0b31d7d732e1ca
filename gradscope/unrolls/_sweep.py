"""Gradients of the losses at many horizons, in one sweep back through the steps.

    a^T_T = dl(s_T)/ds_T,    a^T_{t-1} = J_t^T a^T_t    for every horizon T at once

Each vector is kept at norm 1 with a logarithmic scale, so that no length under- or overflows. A
step is taken again from its state before it is differentiated; states are kept where they fit, and
else made again from every so many steps.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.carriers import carried
from gradscope.dynamics.linearisation import backwards
from gradscope.dynamics.scaled import vector_norms
from gradscope.dynamics.steps import Steps
from gradscope.errors import GradscopeError
from gradscope.unrolls._losses import Loss

#: bytes of states that are kept for the way back
_KEPT = 2**29
#: numbers of cotangents that are sent back at once
_AT_ONCE = 2**24


@dataclass(frozen=True, eq=False)
class Gradients:
    """Gradients at each horizon: ``vectors * exp(log_scale)``.

    Attributes:
        vectors: ``(horizon, batch, size)``.
        log_scale: ``(horizon, batch)``, nats.
        losses: of each horizon and start.
        resolution: by how much each loss may be off by rounding.
        growth: ln of the growth of a random cotangent sent back from the last step, by step,
            ``(time, batch)``, the last step first.
    """

    vectors: Float[Tensor, "horizon batch size"]
    log_scale: Float[Tensor, "horizon batch"]
    losses: Float[Tensor, "horizon batch"]
    resolution: Float[Tensor, "horizon batch"]
    growth: Float[Tensor, "time batch"]

    def log_norms(self) -> Float[Tensor, "horizon batch"]:
        """ln of the gradient's norm; -inf where it is exactly zero."""
        return self.log_scale + vector_norms(self.vectors).log()


@dataclass
class _Sum:
    """A sum of scaled vectors, kept on the scale of its largest term."""

    vectors: Tensor
    log_scale: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.log_scale = torch.full(
            self.vectors.shape[:-1], -math.inf, dtype=torch.float64, device=self.vectors.device
        )

    def add(self, rows: slice, vectors: Tensor, log_scale: Tensor) -> None:
        """Add terms to some of the rows."""
        before = self.log_scale[rows]
        scale = torch.maximum(before, log_scale)
        safe = torch.where(scale.isfinite(), scale, 0.0)
        old, new = ((part - safe).exp()[..., None] for part in (before, log_scale))
        self.vectors[rows] = self.vectors[rows] * old + vectors.double() * new
        self.log_scale[rows] = scale


def swept(
    steps: Steps, loss: Loss, horizons: Sequence[int], parameters: Sequence[Tensor], seed: int
) -> Gradients:
    """The gradient of the loss at each horizon by s_0, or by the parameters where there are some.

    Args:
        steps: that are unrolled.
        loss: of the last state.
        horizons: ascending.
        parameters: of the step, of which gradients are taken start by start.
        seed: of the random cotangent that measures the exponent.

    Raises:
        GradscopeError: for a step, a loss or a state that fails on the way.
    """
    sweep = _Sweep(steps, loss, horizons, parameters, seed)
    for t, before in _backwards(steps):
        sweep.back(t, before)
    return sweep.found()


class _Sweep:
    """The cotangents of all horizons on their way back, and a random one behind them."""

    def __init__(
        self,
        steps: Steps,
        loss: Loss,
        horizons: Sequence[int],
        parameters: Sequence[Tensor],
        seed: int,
    ):
        self.steps, self.loss, self.horizons, self.parameters = steps, loss, horizons, parameters
        self.count, (batch, size) = len(horizons), steps.start.shape
        self.rows = steps.start.new_zeros(self.count + 1, batch, size)
        self.rows[self.count] = _random_unit(size, seed).to(self.rows)
        zeros = self.rows.new_zeros(self.count + 1, batch, dtype=torch.float64)
        self.log_scale, self.losses, self.resolution = zeros, zeros.clone(), zeros.clone()
        length = sum(parameter.numel() for parameter in parameters)
        self.by_parameters = _Sum(zeros.new_zeros(self.count, batch, length))
        self.growth: list[Tensor] = []

    def back(self, t: int, before: Tensor) -> None:
        """Take step t back, from s_{t-1}."""
        linear = self.steps.linearised(t, before)
        after, first = linear.after[0], bisect_left(self.horizons, t)
        if first < self.count and self.horizons[first] == t:
            self._begin(first, after.detach())
        if self.parameters and first < self.count:
            here = slice(first, self.count)
            pulled = _by_parameters(after, self.parameters, self.rows[here])
            self.by_parameters.add(here, pulled, self.log_scale[here])
        active = slice(first, self.count + 1)
        apply = partial(_pulled_back, after, linear.s_prev, t)
        self.rows[active], grown = carried(apply, self.rows[active])
        self.log_scale[active] += grown
        self.growth.append(grown[-1])

    def found(self) -> Gradients:
        """What has arrived at the start."""
        if self.horizons[0] == 0:
            self._begin(0, self.steps.start)
        vectors, log_scale = self.rows[: self.count].double(), self.log_scale[: self.count]
        if self.parameters:
            vectors, log_scale = self.by_parameters.vectors, self.by_parameters.log_scale
        losses, resolution = self.losses[: self.count], self.resolution[: self.count]
        return Gradients(vectors, log_scale, losses, resolution, torch.stack(self.growth))

    def _begin(self, index: int, s: Tensor) -> None:
        """Put the gradient of the loss of s_T into its row."""
        found = self.loss.gradient(s, self.horizons[index])
        norms = vector_norms(found.gradient)
        safe = torch.where(norms > 0, norms, 1.0)
        self.rows[index] = (found.gradient.double() / safe[:, None]).to(self.rows.dtype)
        self.log_scale[index], self.losses[index] = norms.log(), found.loss
        sizes = found.loss.abs() + norms * vector_norms(s)
        self.resolution[index] = self.steps.packing.epsilon * sizes


def _pulled_back(after: Tensor, before: Tensor, t: int, rows: Tensor) -> Tensor:
    """J_t^T of each row.

    Raises:
        GradscopeError: if autograd cannot.
    """
    try:
        return torch.cat([backwards(after, [before], part)[0][:, 0] for part in _parts(rows)])
    except RuntimeError as error:
        raise GradscopeError(
            f"the step cannot be differentiated at t = {t}: {str(error).splitlines()[0]}"
        ) from error


def _parts(rows: Tensor) -> tuple[Tensor, ...]:
    """As many rows at a time as are sent back at once."""
    return rows.split(max(1, _AT_ONCE // rows[0].numel()))


def _by_parameters(
    after: Tensor, parameters: Sequence[Tensor], rows: Float[Tensor, "rows batch size"]
) -> Float[Tensor, "rows batch parameters"]:
    """a_t^T d+s_t/dW of each row and start: one start at a time is sent back."""
    count, batch, size = rows.shape
    alone = torch.eye(batch, dtype=rows.dtype, device=rows.device)[None, :, :, None]
    each = (alone * rows[:, None]).reshape(count * batch, batch, size)
    pulled = [
        torch.cat(
            [part.reshape(len(some), -1) for part in backwards(after, parameters, some)], dim=-1
        )
        for some in _parts(each)
    ]
    return torch.cat(pulled).reshape(count, batch, -1)


def _backwards(steps: Steps) -> Iterator[tuple[int, Tensor]]:
    """(t, s_{t-1}) for t = T ... 1."""
    every = 1
    if steps.start.nbytes * steps.time > _KEPT:  # the least that is ever held
        every = math.isqrt(steps.time)
    kept = [s for t, s in steps.states() if t % every == 0]
    for place in range(len(kept) - 1, -1, -1):
        s, start = kept.pop(), place * every
        states = [s]
        for t in range(start + 1, min(start + every, steps.time)):
            states.append(steps.after(t, states[-1]))
        for back, state in enumerate(reversed(states)):
            t = start + len(states) - back
            if t <= steps.time:
                yield t, state


def _random_unit(size: int, seed: int) -> Float[Tensor, " size"]:
    drawn = torch.randn(
        size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed + 1)
    )
    return drawn / drawn.norm()
