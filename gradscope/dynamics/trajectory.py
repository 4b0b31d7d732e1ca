"""A trajectory as the sequence of its step Jacobians, made a few at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.resolution import resolved
from gradscope.dynamics.trace import Trace
from gradscope.errors import GradscopeError

#: a trace; or step Jacobians ``(time, batch, state, state)``, the first being J_1, or
#: ``(time, state, state)`` of a single sequence
Trajectory = Trace | Tensor

#: bytes of step Jacobians made at a time, few enough to stay in a cache
_CHUNK = 2 * 2**20


def as_trajectory(trajectory: object) -> Trajectory:
    """The same with a batch axis, checked, and in float64 where ``resolved`` says so.

    Raises:
        GradscopeError: for what is neither a trace nor finite step Jacobians, or has no step.
    """
    if isinstance(trajectory, Trace):
        if trajectory.time == 0:
            raise GradscopeError("the trace is empty: a Jacobian needs at least one step")
        return resolved(trajectory)
    if not isinstance(trajectory, Tensor):
        raise GradscopeError(
            "a trace or a tensor of step Jacobians is needed, got "
            f"{type(trajectory).__name__}; gradscope.unroll makes a trace"
        )
    jacobians = trajectory.unsqueeze(1) if trajectory.dim() == 3 else trajectory
    shape = tuple(trajectory.shape)
    if jacobians.dim() != 4 or shape[-1] != shape[-2] or 0 in shape:
        raise GradscopeError(
            "step Jacobians should be (time, batch, state, state), or (time, state, state) of one "
            f"sequence, with at least one of each; got {shape}"
        )
    if jacobians.dtype not in (torch.float32, torch.float64):
        raise GradscopeError(
            f"step Jacobians should be in float64 or float32, got {jacobians.dtype}: convert them "
            "with .double()"
        )
    check_finite(jacobians)
    return jacobians.detach() if jacobians.requires_grad else jacobians


def check_finite(jacobians: Float[Tensor, "time batch state state"], start: int = 0) -> None:
    """Check that step Jacobians are numbers, the first being that of step ``start`` + 1.

    Raises:
        GradscopeError: if not; it names the step.
    """
    # if the sum is finite so is every term, and the slower check can be skipped
    if not bool(jacobians.sum().isfinite()) and not bool(torch.isfinite(jacobians).all()):
        finite = torch.isfinite(jacobians).flatten(1).all(1)
        raise GradscopeError(
            f"the step Jacobian at t = {start + int((~finite).nonzero()[0]) + 1} is not finite: "
            "look for NaN or inf in the weights, the inputs or the states"
        )


def step_by_step(
    trajectory: Trajectory, *, forward: bool = True
) -> Iterator[Float[Tensor, "batch state state"]]:
    """Yield J_1, J_2, ...; or J_T^T, J_{T-1}^T, ... in reverse time.

    Raises:
        GradscopeError: for a Jacobian of a trace that is not finite.
    """
    if isinstance(trajectory, Tensor):
        yield from (trajectory if forward else trajectory.flip(0).mT)
        return
    states = trajectory.states
    bytes_of_step = states.shape[1] * states.shape[2] ** 2 * states.element_size()
    length = max(1, _CHUNK // bytes_of_step)
    starts = range(0, trajectory.time, length)
    for start in starts if forward else reversed(starts):
        jacobians = trajectory.jacobians(start, min(start + length, trajectory.time))
        check_finite(jacobians, start)
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


def random_frame(
    batch: int, size: int, k: int, seed: int, device: torch.device
) -> Float[Tensor, "batch size k"]:
    """Random orthonormal columns in float64, the same for each sequence.

    What is found of a sequence thus does not depend on the others of its batch.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(size, k, dtype=torch.float64, generator=generator)
    return torch.linalg.qr(drawn)[0].to(device).expand(batch, size, k)


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
