"""Step Jacobians, the parts of a state, and norms of matrices."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.scaled import Scaled
from gradscope.dynamics.trace import Trace
from gradscope.dynamics.trajectory import Trajectory, as_trajectory, check_finite
from gradscope.errors import GradscopeError

Norm = Literal["spectral", "frobenius"]
#: a function that takes a part of the state along the last axis
Take = Callable[[Tensor], Tensor]
#: a part of the state: by name, or as a function that takes it
Block = str | Take
#: bytes that the products held at one time may take, unless the caller says otherwise
MEMORY_BUDGET = 512 * 2**20


def step_jacobians(trace: Trace) -> Float[Tensor, "time batch state state"]:
    """J_t = ds_t/ds_{t-1} of the full state at every step of the trace, axes (..., out, in).

    In closed form for the built-in cells, by torch.func for any other; computed once for a trace.
    In float64 where saturated slopes are smaller than float32 holds.

        jacobians = gradscope.step_jacobians(trace)
        torch.linalg.eigvals(jacobians[9, 0])  # of ds_10/ds_9 in the first sequence

    Raises:
        GradscopeError: if the trace has no step, a Jacobian is not finite, or all of them do not
            fit into memory.
    """

    def make() -> Tensor:
        _check_room(trace.states)
        in_range = as_trajectory(trace)
        assert isinstance(in_range, Trace)
        jacobians = in_range.jacobians()
        check_finite(jacobians)
        return jacobians

    return trace.memo("step_jacobians", make)


def _check_room(states: Tensor) -> None:
    steps, batch, size = states.shape
    needed = (steps - 1) * batch * size**2 * states.element_size()
    if states.is_cuda:
        available = torch.cuda.mem_get_info(states.device)[1]
    elif hasattr(os, "sysconf"):
        available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    else:
        return
    if needed > available:
        raise GradscopeError(
            f"the step Jacobians of {steps - 1} steps, {batch} sequences and a state of {size} "
            f"take {needed / 2**30:.0f} GiB, and {states.device} has {available / 2**30:.0f}: use "
            "fewer sequences or steps, or a quantity that needs few Jacobians or none "
            "(top_singular_values, lyapunov_spectrum with k, adjoints, lag_contributions)"
        )


def all_jacobians(trajectory: Trajectory) -> Float[Tensor, "time batch state state"]:
    """The step Jacobians of a trace, or those given, checked.

    Raises:
        GradscopeError: as ``step_jacobians`` and ``as_trajectory``.
    """
    if isinstance(trajectory, Trace):
        return step_jacobians(trajectory)
    jacobians = as_trajectory(trajectory)
    assert isinstance(jacobians, Tensor)
    return jacobians


def check_pairs(pairs: Sequence[tuple[int, int]], time: int) -> None:
    """Check that t and k are whole and 0 <= k <= t <= time for every pair (t, k).

    Raises:
        GradscopeError: if not.
    """
    for t, k in pairs:
        whole = isinstance(t, int | np.integer) and isinstance(k, int | np.integer)
        if not whole or not 0 <= k <= t <= time:
            raise GradscopeError(f"J_{{t:k}} needs 0 <= k <= t <= {time}, got t = {t}, k = {k}")


def part_of(trace: Trajectory, block: Block) -> Take | None:
    """The function that takes a block of the state along the last axis; None for the whole state.

    Raises:
        GradscopeError: for a name that the state does not have.
    """
    if not isinstance(block, str):
        return block
    if block == "state":
        return None
    if isinstance(trace, Tensor):
        known = ["state"]
    elif block == "hidden":
        return trace.cell.hidden
    elif block in trace.cell.blocks:
        place = trace.cell.blocks[block]
        return lambda state: state[..., place]
    else:
        known = ["state", "hidden", *trace.cell.blocks]
    raise GradscopeError(f"the state has no part {block!r}; known: {', '.join(known)}")


def check_norm(norm: object) -> None:
    """Check that a norm is one of those there are.

    Raises:
        GradscopeError: if not.
    """
    if norm not in get_args(Norm):
        raise GradscopeError(f"the norm is spectral or frobenius, got {norm!r}")


def log_norm(products: Scaled, norm: Norm, part: Take | None = None) -> Float[Tensor, "*batch"]:
    """ln of the norm of ``products``, or of one block of them, nats.

    Raises:
        GradscopeError: for a norm that is neither ``spectral`` nor ``frobenius``.
    """
    check_norm(norm)
    if part is not None:
        products = Scaled(part(part(products.mantissa).mT).mT, products.log_scale)
    return products.log_spectral_norm() if norm == "spectral" else products.log_frobenius_norm()
