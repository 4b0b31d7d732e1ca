"""StepCell: a user's step as a cell."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.utils import _pytree as pytree

from gradscope.capture._call import RandomState
from gradscope.capture._step import Nest, Step, side_by_side
from gradscope.cells import Cell
from gradscope.errors import GradscopeError


class StepCell(Cell):
    """A user's step as a cell: the tensors of its state laid side by side.

    Its blocks are s0, s1, ... in the order of the nest; its derivatives are automatic.

    Args:
        module: that takes the step.
        step: how it is called.
        x: one of its inputs, ``(batch, ...)``.
        state: one of its states.
    """

    def __init__(self, module: nn.Module, step: Step, x: Tensor, state: Nest):
        tensors, self.nest = pytree.tree_flatten(state)
        self.shapes = [tensor.shape[1:] for tensor in tensors]
        self.sizes = [max(1, shape.numel()) for shape in self.shapes]
        super().__init__(max(1, x.shape[1:].numel()), self.sizes[step.hidden])
        ends = torch.tensor(self.sizes).cumsum(0).tolist()
        self.parts = {
            f"s{index}": slice(end - size, end)
            for index, (end, size) in enumerate(zip(ends, self.sizes, strict=True))
        }
        self.step, self.module, self.x_shape, self.x_dtype = step, module, x.shape[1:], x.dtype

    @property
    def state_size(self) -> int:
        """Length of the whole nest."""
        return sum(self.sizes)

    @property
    def blocks(self) -> dict[str, slice]:
        """The nest's tensors; one block, h, where there is but one."""
        return self.parts if len(self.parts) > 1 else {"h": slice(0, self.hidden_size)}

    def hidden(self, s: Float[Tensor, "*any state"]) -> Float[Tensor, "*any hidden"]:
        """The tensor that was said to be h."""
        return s[..., self.parts[f"s{self.step.hidden}"]]

    def initial_state(self, batch_size: int) -> Float[Tensor, "batch state"]:
        """s_0 = 0, where the module's weights are."""
        like = next(self.parameters(), torch.zeros(()))
        return like.new_zeros(batch_size, self.state_size)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """The weights are the module's: they cannot be drawn anew."""
        raise GradscopeError("the weights are the attached module's")

    def forward(
        self, x: Float[Tensor, "*batch input"], s: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """One step of the module; any leading axes become one batch axis."""
        parts = s.reshape(-1, s.shape[-1]).split(self.sizes, dim=-1)
        shaped = zip(parts, self.shapes, strict=True)
        nest = pytree.tree_unflatten(
            [part.reshape(-1, *shape) for part, shape in shaped], self.nest
        )
        given = x.reshape(-1, *self.x_shape)
        if not self.x_dtype.is_floating_point:
            given = given.round().to(self.x_dtype)
        after = self.step.state(self.step.call(self.module, given, nest))
        return side_by_side(pytree.tree_leaves(after)).reshape(s.shape)

    def _by_func(self, argument: int, x: Tensor, s_prev: Tensor) -> Tensor:
        """The derivative by torch.func, or row by row where it meets what it cannot batch."""
        try:
            return super()._by_func(argument, x, s_prev)
        except (RuntimeError, ValueError):
            linear, jacobian = self.linearise(x, s_prev, s_prev), []
            for unit in torch.eye(self.state_size, dtype=s_prev.dtype, device=s_prev.device):
                by_state, by_input = linear.vjp(unit.expand_as(s_prev).contiguous())
                jacobian.append(by_state if argument else by_input)
            return torch.stack(jacobian, dim=-2)


class RandomStepCell(StepCell):
    """A user's step that draws random numbers, such as dropout: it draws again what it drew.

    Inputs carry one more column, which says the recorded step and sequence.

    Args:
        module: that takes the step.
        step: how it is called.
        x: one of its inputs, ``(batch, ...)``.
        state: one of its states.
        randoms: from which each step drew.
        batch: sequences that were there: what is drawn depends on how many.
    """

    def __init__(
        self,
        module: nn.Module,
        step: Step,
        x: Tensor,
        state: Nest,
        randoms: Sequence[RandomState],
        batch: int,
    ):
        super().__init__(module, step, x, state)
        self.randoms, self.batch = randoms, batch

    def forward(
        self, x: Float[Tensor, "*batch more"], s: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """One step of the module for each recorded step, with its whole batch."""
        flat_x, flat_s = x.reshape(-1, x.shape[-1]), s.reshape(-1, s.shape[-1])
        place = flat_x[:, -1].detach().round().long()
        after = torch.zeros_like(flat_s)
        devices = [x.device] if x.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            for step in (place // self.batch).unique().tolist():
                rows = (place // self.batch == step).nonzero().flatten()
                own = place[rows] % self.batch
                whole_x = flat_x.new_zeros(self.batch, flat_x.shape[-1] - 1)
                whole_s = flat_s.new_zeros(self.batch, flat_s.shape[-1])
                whole_x = whole_x.index_copy(0, own, flat_x[rows, :-1])
                whole_s = whole_s.index_copy(0, own, flat_s[rows])
                self.randoms[step].restore(x.device)
                made = super().forward(whole_x, whole_s)
                after = after.index_copy(0, rows, made[own])
        return after.reshape(s.shape)
