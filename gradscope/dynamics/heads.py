"""A trace whose recurrence has heads, looked at head by head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.backpropagation import adjoints
from gradscope.dynamics.horizon import MemoryHorizon, memory_horizons
from gradscope.dynamics.matrix_state import MatrixRecurrence
from gradscope.dynamics.trace import Trace
from gradscope.dynamics.transitions import Transitions
from gradscope.errors import GradscopeError

#: where a trace keeps its whole recurrence
_STREAMED = "streamed heads"


@runtime_checkable
class HeadedStep(Protocol):
    """A step S_t = A_t S_{t-1} + B_t in every head, with A_t on the key axis alone."""

    heads: int
    key: int
    columns: int

    def transitions(self, x: Float[Tensor, "*batch input"]) -> Transitions:
        """A_t of these steps."""
        ...

    def by_head(self, trace: Trace) -> Trace:
        """A trace whose sequences are every sequence's heads, with a state of one column."""
        ...


@dataclass(frozen=True, eq=False)
class Streamed:
    """The whole recurrence of a trace, which may keep a part of its state, to be streamed.

    Attributes:
        make: the recurrence of all columns, which may be too large to be kept.
        by_read: dL/do_t; None where no gradient arrived.
        last: S_T.
    """

    make: Callable[[], MatrixRecurrence]
    by_read: Float[Tensor, "time batch head value"] | None
    last: Float[Tensor, "batch head key value"]

    @property
    def value(self) -> int:
        """Columns of the whole state."""
        return self.last.shape[-1]

    @cached_property
    def adjoint_log_norms(self) -> Float[Tensor, "times batch head"] | None:
        """ln ||dL/dS_t||_F; None where no gradient arrived."""
        return None if self.by_read is None else self.make().adjoint_log_norms(self.by_read)

    @cached_property
    def effective_rank(self) -> Float[Tensor, "batch head"]:
        """Of S_T."""
        return effective_rank(self.last)

    def kept_in(self, trace: Trace) -> Trace:
        """The same trace, which knows of it."""
        return replace(trace, cache={**trace.cache, _STREAMED: self})


def headed(trace: Trace) -> HeadedStep | None:
    """The trace's step where it has heads; None where it has none."""
    return trace.cell if isinstance(trace.cell, HeadedStep) else None


def transitions_of(trace: Trace) -> Transitions:
    """A_t of a trace whose recurrence is S_t = A_t S_{t-1} + B_t, with axes (time, batch, head).

        gradscope.transitions_of(scope.trace("layers.0.mixer")).eigenvalue_moduli()

    Raises:
        GradscopeError: for a recurrence of another form.
    """
    step = headed(trace)
    if step is None:
        raise GradscopeError(
            f"{type(trace.cell).__name__} is no recurrence S_t = A_t S_(t-1) + B_t with heads, as "
            "those of Mamba, gated linear attention or DeltaNet are"
        )
    whole = streamed(trace)
    return step.transitions(trace.inputs) if whole is None else whole.make().transitions


def by_head(trace: Trace) -> Trace:
    """A trace whose sequences are every sequence's heads, to measure them one by one.

    Its state is one column of a head's matrix, whose Jacobians A_t are those of all columns. The
    heads of the first sequence come first: sequence b, head i is at b heads + i.

        heads = gradscope.by_head(scope.trace("layers.0.mixer"))
        gradscope.lyapunov_spectrum(heads, k=3).finite_time  # (sequences x heads, 3)

    Raises:
        GradscopeError: for a recurrence without heads.
    """
    step = headed(trace)
    if step is None:
        raise GradscopeError(f"{type(trace.cell).__name__} has no heads")
    return step.by_head(trace)


def streamed(trace: Trace) -> Streamed | None:
    """Its whole recurrence; None where the trace was not recorded in a model."""
    found = trace.cache.get(_STREAMED)
    return found if isinstance(found, Streamed) else None


def adjoint_log_norms_by_head(trace: Trace) -> Float[Tensor, "times batch head"] | None:
    """ln ||dL/dS_t||_F of every head for t = 0 .. T, nats; None where no gradient is known.

    Raises:
        GradscopeError: for a recurrence without heads.
    """
    step = headed(trace)
    if step is None:
        raise GradscopeError(f"{type(trace.cell).__name__} has no heads")
    if (whole := streamed(trace)) is not None:
        return whole.adjoint_log_norms
    if trace.immediate is None and trace.losses is None:
        return None
    total, size = adjoints(trace), step.key * step.columns
    parts = [total.log_norms(slice(i * size, (i + 1) * size)) for i in range(step.heads)]
    return torch.stack(parts, dim=-1)


def effective_rank(states: Float[Tensor, "*batch key value"]) -> Float[Tensor, "*batch"]:
    """e^H, H the entropy of the singular values over their sum: between 1 and the true rank.

    0 of a state that is zero, NaN of one that is not finite.

    Reference: Roy and Vetterli (2007), The effective rank.
    """
    known = states.isfinite().flatten(-2).all(-1)
    safe = torch.where(known[..., None, None], states.double(), torch.zeros_like(states.double()))
    values = torch.linalg.svdvals(safe)
    total = values.sum(-1, keepdim=True)
    share = values / torch.where(total > 0, total, torch.ones_like(total))
    entropy = -torch.special.xlogy(share, share).sum(-1)
    rank = torch.where(total[..., 0] > 0, entropy.exp(), torch.zeros_like(entropy))
    return torch.where(known, rank, torch.full_like(rank, torch.nan))


def head_horizons(
    by: Transitions, lags: list[int]
) -> tuple[Float[Tensor, "lags batch head"], list[list[MemoryHorizon]]]:
    """ln ||A_T ... A_{T-lag+1}|| and the memory horizon of every sequence and head, in steps.

    Args:
        by: with leading axes (time, batch).
        lags: ascending, the first 0.
    """
    log_norms = by.log_norms(lags)
    horizons = memory_horizons(lags, log_norms.flatten(1).cpu().numpy())
    starts = range(0, len(horizons), by.heads)
    return log_norms, [horizons[start : start + by.heads] for start in starts]
