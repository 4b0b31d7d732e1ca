"""Recurrences with a matrix for a state, streamed: states, outputs and adjoints, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.scaled import frobenius_norm, vector_norms
from gradscope.dynamics.transitions import Transitions

#: norms between which an adjoint is left as it is
_LOW, _HIGH = 1e-6, 1e6


@dataclass(frozen=True, eq=False)
class MatrixRecurrence:
    """S_t = A_t S_{t-1} + k_t v_t^T in every head, and what is read of it, o_t = S_t^T q_t.

    The state is ``(key, value)`` for each head; it is never kept for all steps at once.

    Attributes:
        transitions: A_t, with leading axes (time, batch).
        key: k_t, with the write strength in it.
        value: v_t.
        query: q_t, with its scale in it.
        start: S_0; None is zero.
        reads_before: whether o_t = S_{t-1}^T q_t, of the state before the update.
    """

    transitions: Transitions
    key: Float[Tensor, "time batch head key"]
    value: Float[Tensor, "time batch head value"]
    query: Float[Tensor, "time batch head key"]
    start: Float[Tensor, "batch head key value"] | None = None
    reads_before: bool = False

    @property
    def time(self) -> int:
        """Number of steps."""
        return len(self.key)

    @property
    def size(self) -> int:
        """Length of the state of all heads."""
        return self.key.shape[-2] * self.key.shape[-1] * self.value.shape[-1]

    def first(self) -> Float[Tensor, "batch head key value"]:
        """S_0."""
        if self.start is not None:
            return self.start
        return self.key.new_zeros(*self.key.shape[1:], self.value.shape[-1])

    def states(self) -> Iterator[Float[Tensor, "batch head key value"]]:
        """S_0, S_1 ... S_T, one after another."""
        state = self.first()
        yield state
        for step in self._steps():
            state = step(state, torch.empty_like(state))
            yield state

    def _steps(self) -> Iterator[Callable[[Tensor, Tensor], Tensor]]:
        """Functions of S_{t-1} that write S_t into another tensor, one for each step."""
        by = self.transitions
        parts = zip(
            by.log_diagonal.exp().unsqueeze(-1).unbind(),
            (by.left * by.log_scale.exp()[..., None, None]).unbind(),
            by.right.mT.unbind(),
            self.key.unsqueeze(-1).unbind(),
            self.value.unsqueeze(-2).unbind(),
            strict=True,
        )
        for diagonal, left, right, key, value in parts:

            def step(before: Tensor, after: Tensor) -> Tensor:
                torch.mul(diagonal, before, out=after)  # noqa: B023 - called before the next one
                if by.rank:
                    after += left @ (right @ before)  # noqa: B023
                return after.addcmul_(key, value)  # noqa: B023

            yield step

    def all_states(self) -> Float[Tensor, "times batch head key value"]:
        """The same, side by side."""
        first = self.first()
        whole = first.new_empty(self.time + 1, *first.shape)
        whole[0] = first
        for before, after, step in zip(whole[:-1], whole[1:], self._steps(), strict=True):
            step(before, after)
        return whole

    def outputs_of(
        self, states: Float[Tensor, "times batch head key value"]
    ) -> Float[Tensor, "time batch head value"]:
        """o_1 ... o_T from S_0 ... S_T."""
        read = states[:-1] if self.reads_before else states[1:]
        return (self.query.unsqueeze(-2) @ read).squeeze(-2)

    def outputs_and_last(
        self,
    ) -> tuple[Float[Tensor, "time batch head value"], Float[Tensor, "batch head key value"]]:
        """o_1 ... o_T and S_T, in one sweep that holds two states at a time."""
        states = self.states()
        state = next(states)
        # one tensor for all: small ones that stay, made between large ones that go, leave holes
        # into which no state fits
        whole = self.value.new_empty(self.value.shape)
        for t, after in enumerate(states):
            read = state if self.reads_before else after
            torch.matmul(self.query[t].unsqueeze(-2), read, out=whole[t].unsqueeze(-2))
            state = after
        return whole, state

    def outputs(self) -> Float[Tensor, "time batch head value"]:
        """o_1 ... o_T."""
        return self.outputs_and_last()[0]

    def columns(self, mix: Float[Tensor, "value column"]) -> MatrixRecurrence:
        """The recurrence of S_t M, whose A_t are the same: columns of the value axis, or a mix."""
        start = None if self.start is None else self.start @ mix
        value = self.value @ mix
        return MatrixRecurrence(
            self.transitions, self.key, value, self.query, start, self.reads_before
        )

    # --- gradients --------------------------------------------------------------------------------

    def immediate(
        self, by_output: Float[Tensor, "time batch head value"]
    ) -> Float[Tensor, "times batch head key value"]:
        """dl_t/dS_t = q_t (dL/do_t)^T for t = 0 .. T, all at once."""
        first = self.first()
        whole = first.new_empty(self.time + 1, *first.shape)
        unread, read = (-1, whole[:-1]) if self.reads_before else (0, whole[1:])
        whole[unread] = 0
        torch.mul(self.query.unsqueeze(-1), by_output.unsqueeze(-2), out=read)
        return whole

    def adjoint_log_norms(
        self, by_output: Float[Tensor, "time batch head value"]
    ) -> Float[Tensor, "times batch head"]:
        """ln ||dL/dS_t||_F of every head for t = 0 .. T, nats; -inf where it is zero.

            dL/dS_t = q_t (dL/do_t)^T + A_{t+1}^T dL/dS_{t+1}

        In one sweep back from the last step, of which one adjoint is held at a time, with a scale
        of its own for every head and sequence.
        """
        adjoint = torch.zeros_like(self.first())
        scale = torch.full(
            adjoint.shape[:2], -torch.inf, dtype=torch.float64, device=adjoint.device
        )
        (query, by_query), (value, by_value) = _directions(self.query), _directions(by_output)
        by, read = self.transitions, by_query + by_value
        over, scales = by.over_scale().unsqueeze(-1), by.log_scale.double()
        norms = scale.new_empty(self.time + 1, *scale.shape)
        for t in range(self.time, -1, -1):
            at = t if self.reads_before else t - 1
            fresh = read[at] if 0 <= at < self.time else None
            moved = scale + scales[t] if t < self.time else scale
            scale = moved if fresh is None else torch.maximum(moved, fresh)
            scale = scale.masked_fill(scale == -torch.inf, 0.0)
            kept = (moved - scale).exp().to(adjoint.dtype)[..., None, None]
            if t < self.time:
                adjoint = self._back(t, adjoint, over[t] * kept, kept)
            if fresh is not None:
                weight = (fresh - scale).exp().to(adjoint.dtype)[..., None]
                adjoint = torch.addcmul(
                    adjoint, (query[at] * weight).unsqueeze(-1), value[at].unsqueeze(-2)
                )
            size = frobenius_norm(adjoint)
            norms[t] = size.log() + scale
            adjoint, scale = _kept(adjoint, scale, size)
        return norms

    def _back(self, t: int, adjoint: Tensor, over: Tensor, kept: Tensor) -> Tensor:
        """A_{t+1}^T G over e^log_scale, times ``kept``; ``over`` is the diagonal's part of it."""
        moved = over * adjoint
        if self.transitions.rank:
            inner = self.transitions.left[t].mT @ adjoint
            moved = moved + self.transitions.right[t] @ (inner * kept)
        return moved


def _directions(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors over their norms, and ln of the norms; zeros stay zero, and their ln is -inf."""
    sizes = vector_norms(vectors)
    safe = torch.where(sizes > 0, sizes, torch.ones_like(sizes))
    return (vectors.double() / safe[..., None]).to(vectors.dtype), sizes.log()


def _kept(adjoint: Tensor, scale: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """An adjoint in the range in which it is safe; of one that is zero the scale is too."""
    drifted = ((size < _LOW) | (size > _HIGH)) & (size > 0)
    if bool(drifted.any()):
        by = torch.where(drifted, size, torch.ones_like(size))
        adjoint = adjoint / by[..., None, None].to(adjoint.dtype)
        scale = scale + by.log()
    return adjoint, scale.masked_fill(size == 0, -torch.inf)
