"""A trajectory as the sequence of its step Jacobians, made a few at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.trace import Trace
from gradscope.errors import GradscopeError

#: a trace, or step Jacobians ``(time, batch, state, state)``, the first being J_1
Trajectory = Trace | Float[Tensor, "time batch state state"]

#: bytes of step Jacobians made at a time, few enough to stay in a cache
_CHUNK = 2 * 2**20


def step_by_step(
    trajectory: Trajectory, *, forward: bool = True
) -> Iterator[Float[Tensor, "batch state state"]]:
    """Yield J_1, J_2, ...; or J_T^T, J_{T-1}^T, ... in reverse time."""
    if isinstance(trajectory, Tensor):
        yield from (trajectory if forward else trajectory.flip(0).mT)
        return
    states = trajectory.states
    bytes_of_step = states.shape[1] * states.shape[2] ** 2 * states.element_size()
    length = max(1, _CHUNK // bytes_of_step)
    starts = range(0, trajectory.time, length)
    for start in starts if forward else reversed(starts):
        jacobians = trajectory.jacobians(start, min(start + length, trajectory.time))
        yield from (jacobians if forward else jacobians.flip(0).mT)


def part(
    trajectory: Trajectory, start: int, stop: int
) -> Trace | Float[Tensor, "steps batch state state"]:
    """Steps start + 1 ... stop of the trajectory."""
    if isinstance(trajectory, Tensor):
        return trajectory[start:stop]
    return trajectory.steps(start, stop)


def extent(trajectory: Trajectory) -> tuple[int, int, int]:
    """(steps, sequences, length of the state)."""
    if isinstance(trajectory, Tensor):
        return trajectory.shape[0], trajectory.shape[1], trajectory.shape[-1]
    return trajectory.time, trajectory.batch, trajectory.states.shape[2]


def device_of(trajectory: Trajectory) -> torch.device:
    """The device of its tensors."""
    return trajectory.device if isinstance(trajectory, Tensor) else trajectory.states.device


def rank_bound(jacobian: Float[Tensor, "batch state state"]) -> int:
    """An upper bound of the rank: the number of rows or columns that are not all zero.

    It is exact where a rank is lost to dead units, as in a relu layer.
    """
    if int(torch.count_nonzero(jacobian)) == jacobian.numel():
        return jacobian.shape[-1]
    nonzero = jacobian != 0
    return int(torch.minimum(nonzero.any(-1).sum(-1), nonzero.any(-2).sum(-1)).max())


def random_frame(
    batch: int, size: int, k: int, seed: int, device: torch.device
) -> Float[Tensor, "batch size k"]:
    """Random orthonormal columns for each sequence, in float64."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(batch, size, k, dtype=torch.float64, generator=generator)
    return torch.linalg.qr(drawn)[0].to(device)


def check_run(
    time: int, size: int, k: int, burn_in: int, *, interval: int | None = None, blocks: int = 1
) -> None:
    """Check that the arguments of a run along a trajectory fit it.

    Raises:
        GradscopeError: if not.
    """
    if not 1 <= k <= size:
        raise GradscopeError(f"k should be 1..{size}, the length of the state, got {k}")
    if not 0 <= burn_in < time:
        raise GradscopeError(
            f"a burn-in of {burn_in} steps leaves nothing of a trajectory of {time}"
        )
    if interval is not None and interval < 1:
        raise GradscopeError(f"interval should be at least 1, got {interval}")
    if blocks < 1:
        raise GradscopeError(f"blocks should be at least 1, got {blocks}")
