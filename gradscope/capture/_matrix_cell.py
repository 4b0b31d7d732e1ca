"""MatrixScan: a recurrence with a matrix for a state in every head."""

from __future__ import annotations

from collections.abc import Collection

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from gradscope.cells import Cell
from gradscope.dynamics import Linearisation, MatrixRecurrence, Trace, Transitions


class MatrixScan(Cell):
    """S_t = A_t S_{t-1} + k_t v_t^T in every head; all that makes a step is its input.

    The input is [ln of A_t's diagonal, its left and right factors, k_t, v_t], the state S_t head by
    head, row by row. J_t = A_t (x) I.

    Args:
        heads: number of heads.
        key: length of the key axis.
        columns: of the value axis.
        rank: of A_t beside its diagonal.
        decays: of a head: 1, or one for each key.
    """

    def __init__(self, heads: int, key: int, columns: int, rank: int, decays: int):
        self.heads, self.key, self.columns = heads, key, columns
        self.parts = [decays, key * rank, key * rank, key, columns]
        super().__init__(heads * sum(self.parts), heads * key * columns)
        self.register_buffer("rest", torch.zeros(self.hidden_size), persistent=False)

    @classmethod
    def of(cls, recurrence: MatrixRecurrence) -> MatrixScan:
        """The cell of a recurrence, on its device."""
        by = recurrence.transitions
        columns, decays = recurrence.value.shape[-1], by.log_diagonal.shape[-1]
        return cls(by.heads, by.key, columns, by.rank, decays).to(recurrence.value)

    def packed(self, recurrence: MatrixRecurrence) -> Float[Tensor, "time batch input"]:
        """The inputs of a recurrence, head by head."""
        by = recurrence.transitions
        parts = (
            by.log_diagonal,
            by.left.flatten(-2),
            by.right.flatten(-2),
            recurrence.key,
            recurrence.value,
        )
        return torch.cat([part.to(recurrence.value.dtype) for part in parts], dim=-1).flatten(-2)

    def _unpacked(self, x: Tensor) -> tuple[Transitions, Tensor, Tensor]:
        parts = x.unflatten(-1, (self.heads, -1)).split(self.parts, dim=-1)
        decay, left, right, key, value = parts
        low_rank = (factor.unflatten(-1, (self.key, -1)) for factor in (left, right))
        if not self.parts[1]:
            low_rank = (decay.new_zeros(*decay.shape[:-1], self.key, 0) for _ in range(2))
        return Transitions(decay, *low_rank), key, value

    def transitions(self, x: Float[Tensor, "*batch input"]) -> Transitions:
        """A_t of these steps."""
        return self._unpacked(x)[0]

    def resets(self, inputs: Float[Tensor, "time batch input"]) -> Bool[Tensor, "time batch"]:
        """Before which steps of which sequences no head keeps anything."""
        by = self.transitions(inputs)
        gone = (by.log_diagonal == -torch.inf).flatten(2).all(-1)
        return gone & (by.left == 0).flatten(2).all(-1)

    def matrix(self, s: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch head key column"]:
        """The state as matrices."""
        return s.unflatten(-1, (self.heads, self.key, self.columns))

    def head(self, index: int) -> slice:
        """Where a head lies in the state."""
        size = self.key * self.columns
        return slice(index * size, (index + 1) * size)

    def by_head(self, trace: Trace) -> Trace:
        """A trace of its Jacobians whose sequences are every sequence's heads, of one column.

        The heads of the first sequence come first.
        """
        by, key, value = self._unpacked(trace.inputs)
        alone = MatrixRecurrence(by, key, value[..., :1], key)
        cell = MatrixScan(1, self.key, 1, by.rank, by.log_diagonal.shape[-1]).to(trace.inputs)
        inputs = self.packed(alone).unflatten(-1, (self.heads, -1)).flatten(1, 2)
        states = self.matrix(trace.states.detach())[..., 0].flatten(1, 2)
        mask = None if trace.mask is None else trace.mask.repeat_interleave(self.heads, dim=1)
        return Trace(cell, inputs, states, mask=mask, train_step=trace.train_step)

    def initial_state(self, batch_size: int) -> Float[Tensor, "batch state"]:
        """S_0 = 0."""
        return self.get_buffer("rest").expand(batch_size, -1)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Does nothing: it has no weights."""

    def forward(
        self, x: Float[Tensor, "*batch input"], s: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """S_t of one step."""
        transitions, key, value = self._unpacked(x)
        moved = transitions.mv(self.matrix(s))
        return (moved + key.unsqueeze(-1) * value.unsqueeze(-2)).flatten(-3)

    def jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state state"]:
        """A_t (x) I of every head, as one block-diagonal matrix."""
        dense = self.transitions(x).dense()
        lead, size = dense.shape[:-3], self.key * self.columns
        whole = dense.new_zeros(*lead, self.heads, size, self.heads, size)
        eye = torch.eye(self.columns, dtype=dense.dtype, device=dense.device)
        for head in range(self.heads):
            block = torch.einsum("...ij,cd->...icjd", dense[..., head, :, :], eye)
            whole[..., head, :, head, :] = block.reshape(*lead, size, size)
        return whole.reshape(*lead, self.hidden_size, self.hidden_size)

    def linearise(
        self,
        x: Float[Tensor, "time batch input"],
        s_prev: Float[Tensor, "time batch state"],
        s: Float[Tensor, "time batch state"],
    ) -> Linearisation:
        """The derivative by the structure of A_t."""
        return MatrixLinearisation(self, x, s_prev)


class MatrixLinearisation(Linearisation):
    """dS_t = A_t dS_{t-1} + dA_t S_{t-1} + dk_t v_t^T + k_t dv_t^T.

    Args:
        cell: whose steps they are.
        x: what makes A_t, k_t and v_t.
        s_prev: S_{t-1}.
    """

    def __init__(
        self,
        cell: MatrixScan,
        x: Float[Tensor, "time batch input"],
        s_prev: Float[Tensor, "time batch state"],
    ):
        self.cell, self.x, self.s_prev = cell, x.detach(), s_prev.detach()
        self.transitions = cell.transitions(self.x)

    def vjp(
        self, cotangent: Float[Tensor, "time batch state"]
    ) -> tuple[Float[Tensor, "time batch state"], Float[Tensor, "time batch input"]]:
        """(A_t^T G, what G moves of A_t, k_t and v_t)."""
        by_state = self.transitions.transpose_mv(self.cell.matrix(cotangent)).flatten(-3)
        with torch.enable_grad():
            x = self.x.detach().requires_grad_()
            after = self.cell(x, self.s_prev)
            (by_input,) = torch.autograd.grad(after, x, cotangent)
        return by_state, by_input

    def jvp(
        self,
        tangent: Float[Tensor, "time batch state"],
        by_input: Float[Tensor, "time batch input"] | None = None,
    ) -> Float[Tensor, "time batch state"]:
        """A_t V, and what moves the input."""
        moved = self.transitions.mv(self.cell.matrix(tangent)).flatten(-3)
        if by_input is None:
            return moved
        with torch.no_grad():
            step = torch.func.jvp(lambda x: self.cell(x, self.s_prev), (self.x,), (by_input,))
        return moved + step[1]

    def backpropagate(
        self,
        adjoints: Float[Tensor, "times batch state"],
        by_input: Float[Tensor, "times-1 batch input"],
    ) -> None:
        """The adjoint recursion in place; what it moves of the inputs, of all steps at once."""
        matrices = self.cell.matrix(adjoints)
        for t in range(len(by_input) - 1, -1, -1):
            matrices[t] += self.transitions[t].transpose_mv(matrices[t + 1])
        by_input.copy_(self.vjp(adjoints[1:])[1])

    def by_parameters(
        self, cotangent: Float[Tensor, "time batch state"], names: Collection[str] | None = None
    ) -> dict[str, Tensor]:
        """Nothing: it has no parameters."""
        return {}

    def at(self, steps: slice) -> MatrixLinearisation:
        """The linearisation of these steps alone."""
        return MatrixLinearisation(self.cell, self.x[steps], self.s_prev[steps])
