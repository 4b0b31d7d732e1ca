"""DepthCell: a stack of blocks as a recurrence whose step changes from layer to layer."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from gradscope.capture._layout import Layout, layout_of
from gradscope.capture._program import Layer
from gradscope.cells import Cell
from gradscope.dynamics import Linearisation
from gradscope.dynamics.linearisation import jacobian_by_rows
from gradscope.errors import GradscopeError


class DepthCell(Cell):
    """x_l = F_l(x_{l-1}); a state is all of one sample that a layer hands on, flattened.

    The input says which layer and which sample of the recorded batch a step is of: a layer may read
    more of its sample, such as a mask, and draw other random numbers for each.

    Args:
        program: what every layer computes, first to last.
        entered: the states that came in, tensor by tensor, for each layer.
        blocks: copies of the blocks, one for each layer.
        between: what else has weights that a layer reads, by name.
    """

    along_depth = True

    def __init__(
        self,
        program: Sequence[Layer],
        entered: Sequence[Sequence[Tensor]],
        blocks: Sequence[nn.Module],
        between: Mapping[str, nn.Parameter],
    ):
        shapes = [tensor.shape for tensor in entered[0]]
        super().__init__(2, sum(shape.numel() for shape in shapes))
        self.program, self.entered = list(program), [list(state) for state in entered]
        self.stochastic, self.differentiable = False, True
        self.layers, self.between = nn.ModuleList(blocks), nn.ParameterDict(between)
        self.layout = Layout(tuple(shapes), -1)
        self.arrange(self.layout)

    def arrange(self, layout: Layout) -> None:
        """Take the samples to lie so."""
        self.layout, self.hidden_size = layout, sum(s.numel() for s in layout.shapes)
        self.hidden_size //= layout.samples

    def find_layout(self) -> None:
        """Find out how the samples lie, which is how they do not meet."""
        pulled = _pulled(self)
        self.arrange(layout_of(self.layout.shapes, pulled))

    @property
    def state_shape(self) -> tuple[int, ...]:
        """The shape of one sample's activation."""
        return self.layout.shape

    def initial_state(self, batch_size: int) -> Float[Tensor, "batch state"]:
        """The activation that came in, of the batch's first samples."""
        return self.layout.rows(self.entered[0])[:batch_size]

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """The weights are the model's: they cannot be drawn anew."""
        raise GradscopeError("the weights are the attached model's")

    def layer(
        self, index: int, s: Float[Tensor, "batch state"], samples: Tensor
    ) -> Float[Tensor, "batch state"]:
        """F_l for some of the recorded samples.

        Raises:
            GradscopeError: if the block is random.
        """
        if self.stochastic:
            raise GradscopeError(
                "a block gives another output when it is run again: switch dropout off "
                "(model.eval()) to see Jacobians of depth; adjoints, which autograd gave, are "
                "there all the same"
            )
        count = self.layout.samples
        if torch.equal(samples, torch.arange(count, device=samples.device)):
            return self._whole(index, s)
        recorded = self.layout.rows(self.entered[index]).to(s)
        made, left = torch.zeros_like(s), torch.arange(len(s), device=s.device)
        while len(left):  # a sample that is asked for twice is run twice
            _, turn = samples[left].unique(return_inverse=True)
            once = torch.full((int(turn.max()) + 1,), len(left), device=s.device)
            once = once.scatter_reduce(0, turn, torch.arange(len(left), device=s.device), "amin")
            rows = left[once]
            whole = self._whole(index, recorded.index_copy(0, samples[rows], s[rows]))
            made = made.index_copy(0, rows, whole[samples[rows]])
            left = left[~torch.isin(left, rows)]
        return made

    def _whole(self, index: int, s: Float[Tensor, "batch state"]) -> Float[Tensor, "batch state"]:
        state = self.layout.tensors(s)
        made = self.program[index](state, differentiable=self.differentiable)
        return self.layout.rows(made)

    def forward(
        self, x: Float[Tensor, "*batch input"], s: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """The layers and samples that x says; one layer for each entry of all axes but the last."""
        if x.dim() > 2:
            steps = zip(x, s, strict=True)
            return torch.stack([self.forward(layer, state) for layer, state in steps])
        if x.dim() == 1:
            return self.forward(x[None], s[None])[0]
        return self.layer(int(x[0, 0]), s, x[:, 1].detach().round().long())

    def jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state state"]:
        """dx_l/dx_{l-1} of every sample, row by row of an identity, all samples at once."""
        if x.dim() == 2:
            return self.jacobian(x[None], s_prev[None], s[None])[0]
        return jacobian_by_rows(self.linearise(x, s_prev, s), s_prev)

    def linearise(
        self,
        x: Float[Tensor, "time batch input"],
        s_prev: Float[Tensor, "time batch state"],
        s: Float[Tensor, "time batch state"],
    ) -> DepthLinearisation:
        """Layer by layer, by autograd."""
        return DepthLinearisation.of(self, x, s_prev)


def inputs_of(layers: int, samples: int, like: Tensor) -> Float[Tensor, "layer sample input"]:
    """What says to a ``DepthCell`` which layer and sample a step is of."""
    options = {"dtype": like.dtype, "device": like.device}
    layer = torch.arange(layers, **options)[:, None].expand(-1, samples)
    sample = torch.arange(samples, **options)[None].expand(layers, -1)
    return torch.stack((layer, sample), dim=-1)


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
            steps = zip(x, before, strict=True)
            return cls(cell, x, before, [cell(step, part) for step, part in steps])

    def vjp(
        self, cotangent: Float[Tensor, "time batch state"]
    ) -> tuple[Float[Tensor, "time batch state"], Float[Tensor, "time batch input"]]:
        """J^T a of each layer; the input, two numbers, receives nothing."""
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
        """J v of each layer, by forward-mode differentiation, or else by that of J^T a by a."""
        moved = []
        for step, before, change in zip(self.x, self.before, tangent, strict=True):

            def layer(s: Tensor, step: Tensor = step) -> Tensor:
                return self.cell(step, s)

            moved.append(_moved(layer, before.detach(), change).detach())
        return torch.stack(moved)

    def by_parameters(
        self, cotangent: Float[Tensor, "time batch state"], names: Collection[str] | None = None
    ) -> dict[str, Tensor]:
        """Gradients of the parameters of every block, and of those that are read between them."""
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


def _moved(layer: Callable[[Tensor], Tensor], before: Tensor, change: Tensor) -> Tensor:
    try:
        with warnings.catch_warnings():  # torch's own, of how it makes some derivatives
            warnings.filterwarnings("ignore", ".torch.jit.script. is deprecated")
            return torch.func.jvp(layer, (before,), (change,))[1]
    except (NotImplementedError, RuntimeError):  # an operation without forward mode
        pass
    with torch.enable_grad():
        before = before.requires_grad_()
        after = layer(before)
        cotangent = torch.zeros_like(after, requires_grad=True)
        (pulled,) = torch.autograd.grad(after, before, cotangent, create_graph=True)
        return torch.autograd.grad(pulled, cotangent, change)[0]


def _pulled(cell: DepthCell) -> Callable[[list[Tensor]], list[list[Tensor]]]:
    """Takes a cotangent of a state's tensors back through each layer by itself."""
    before, after = [], []
    with torch.enable_grad():
        for layer, state in zip(cell.program, cell.entered, strict=True):
            before.append([tensor.detach().requires_grad_() for tensor in state])
            after.append(layer(before[-1], differentiable=cell.differentiable))

    def pulled(cotangent: list[Tensor]) -> list[list[Tensor]]:
        return [
            list(
                torch.autograd.grad(
                    made,
                    came,
                    [part.to(like) for part, like in zip(cotangent, made, strict=True)],
                    retain_graph=True,
                    materialize_grads=True,
                )
            )
            for came, made in zip(before, after, strict=True)
        ]

    return pulled
