"""DepthCell: a stack of blocks as a recurrence whose step changes from layer to layer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from gradscope.capture._residual import Link
from gradscope.capture._watch import Args, Kwargs
from gradscope.cells import Cell
from gradscope.dynamics import Linearisation
from gradscope.errors import GradscopeError


@dataclass
class BlockCall:
    """One block's call.

    Attributes:
        block: a copy of it, as it was.
        entering: the activation that came in, ``(batch, ...)``.
        leaving: the activation that it made.
        args: the other arguments by position.
        kwargs: those by name.
        link: how what enters the next block is made of what this one gives; None where it is that.
    """

    block: nn.Module
    entering: Tensor
    leaving: Tensor
    args: Args
    kwargs: Kwargs
    link: Link | None = None

    def again(self, entering: Tensor) -> Tensor:
        """What enters the next block for another activation."""
        given = activation(self.block(entering, *self.args, **self.kwargs))
        return given if self.link is None else self.link.applied(given, entering)


def activation(output: object) -> Tensor:
    """The activation in a block's output, which may say more."""
    first = output[0] if isinstance(output, tuple | list) else output
    if not isinstance(first, Tensor):
        raise GradscopeError(
            f"a block gave {type(first).__name__}; depth as time needs blocks that give the "
            "activation, alone or first"
        )
    return first


class DepthCell(Cell):
    """x_l = F_l(x_{l-1}), l being the input; a state is one sample's whole activation, flattened.

    Samples of a batch must not meet within a block (no batch statistics).

    Args:
        calls: one for each layer, first to last.
    """

    along_depth = True

    def __init__(self, calls: Sequence[BlockCall]):
        shape = calls[0].entering.shape[1:]
        super().__init__(1, shape.numel())
        self.calls, self.shape, self.stochastic = calls, shape, False
        self.layers = nn.ModuleList([call.block for call in calls])

    def initial_state(self, batch_size: int) -> Float[Tensor, "batch state"]:
        """The activation that came in, of the batch's first samples."""
        return self.calls[0].entering[:batch_size].flatten(1)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """The weights are the model's: they cannot be drawn anew."""
        raise GradscopeError("the weights are the attached model's")

    def layer(self, index: int, s: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        """F_l.

        Raises:
            GradscopeError: if the block is random.
        """
        if self.stochastic:
            raise GradscopeError(
                "a block gives another output when it is run again: switch dropout off "
                "(model.eval()) to see Jacobians of depth; adjoints, which autograd gave, are "
                "there all the same"
            )
        call = self.calls[index]
        samples = s.reshape(-1, *self.shape).to(call.entering.dtype)
        return call.again(samples).reshape(*s.shape)

    def forward(
        self, x: Float[Tensor, "*batch input"], s: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """The layer that x says, one for all, or one for each entry of the first axis."""
        if x.dim() > 2 and len(x) > 1:
            steps = zip(layers_of(x), s, strict=True)
            return torch.stack([self.layer(index, state) for index, state in steps])
        return self.layer(int(x.flatten()[0]), s)

    def jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state state"]:
        """dx_l/dx_{l-1} of every sample, row by row of an identity, all samples at once."""
        if x.dim() == 2:
            return self.jacobian(x[None], s_prev[None], s[None])[0]
        linear = self.linearise(x, s_prev, s)
        units = torch.eye(self.state_size, dtype=s.dtype, device=s.device)
        by_row = [linear.vjp(unit.expand(s_prev.shape).contiguous())[0] for unit in units]
        return torch.stack(by_row, dim=-2)

    def linearise(
        self,
        x: Float[Tensor, "time batch input"],
        s_prev: Float[Tensor, "time batch state"],
        s: Float[Tensor, "time batch state"],
    ) -> Linearisation:
        """Layer by layer, by autograd."""
        return DepthLinearisation.of(self, x, s_prev)


def layers_of(x: Float[Tensor, "time batch input"]) -> list[int]:
    """The layer that each step's input says."""
    return [int(step.flatten()[0]) for step in x]


class DepthLinearisation(Linearisation):
    """The derivative of every layer, by autograd on a graph each.

    Args:
        cell: whose layers these are.
        x: says which.
        before: the activation that enters each.
        after: the one that leaves it, with its graph.
    """

    def __init__(self, cell: DepthCell, x: Tensor, before: list[Tensor], after: list[Tensor]):
        self.cell, self.x, self.before, self.after = cell, x, before, after

    @classmethod
    def of(
        cls,
        cell: DepthCell,
        x: Float[Tensor, "time batch input"],
        s_prev: Float[Tensor, "time batch state"],
    ) -> DepthLinearisation:
        """Every layer run again."""
        before = [part.detach().requires_grad_() for part in s_prev]
        with torch.enable_grad():
            steps = zip(layers_of(x), before, strict=True)
            return cls(cell, x, before, [cell.layer(index, part) for index, part in steps])

    def vjp(
        self, cotangent: Float[Tensor, "time batch state"]
    ) -> tuple[Float[Tensor, "time batch state"], Float[Tensor, "time batch input"]]:
        """J^T a of each layer; the input, a number, receives nothing."""
        steps = zip(self.after, self.before, cotangent, strict=True)
        by_state = [
            torch.autograd.grad(after, before, arriving, retain_graph=True, materialize_grads=True)
            for after, before, arriving in steps
        ]
        return torch.stack([gradient for (gradient,) in by_state]), torch.zeros_like(self.x)

    def jvp(
        self,
        tangent: Float[Tensor, "time batch state"],
        by_input: Float[Tensor, "time batch input"] | None = None,
    ) -> Float[Tensor, "time batch state"]:
        """J v of each layer, by forward-mode differentiation."""
        moved = []
        for index, before, change in zip(layers_of(self.x), self.before, tangent, strict=True):

            def layer(s: Tensor, index: int = index) -> Tensor:
                return self.cell.layer(index, s)

            moved.append(torch.func.jvp(layer, (before.detach(),), (change,))[1].detach())
        return torch.stack(moved)

    def by_parameters(
        self, cotangent: Float[Tensor, "time batch state"], names: Collection[str] | None = None
    ) -> dict[str, Tensor]:
        """Gradients of the parameters of every block."""
        parameters = dict(self.cell.named_parameters())
        chosen = {
            name: p
            for name, p in parameters.items()
            if p.requires_grad and (names is None or name in names)
        }
        total = {name: torch.zeros_like(p) for name, p in chosen.items()}
        for after, arriving in zip(self.after, cotangent, strict=True):
            gradients = torch.autograd.grad(
                after,
                list(chosen.values()),
                arriving,
                retain_graph=True,
                materialize_grads=True,
                allow_unused=True,
            )
            for name, gradient in zip(chosen, gradients, strict=True):
                total[name] += gradient
        return total

    def at(self, steps: slice) -> DepthLinearisation:
        """The linearisation of these layers alone."""
        return DepthLinearisation(self.cell, self.x[steps], self.before[steps], self.after[steps])
