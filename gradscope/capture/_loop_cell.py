"""LoopCell: a loop of modules over their own output as a recurrence."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Generator, Size, Tensor, nn

from gradscope.capture._loop_program import Program
from gradscope.cells import Cell
from gradscope.dynamics import Linearisation
from gradscope.dynamics.linearisation import jacobian_by_rows
from gradscope.errors import GradscopeError


class Layout:
    """How the tensors of a state lie as rows, one for each sample.

    Args:
        shapes: of the tensors.
        axis: along which samples lie; None where the whole is one sample.
    """

    def __init__(self, shapes: Sequence[Size], axis: int | None):
        self.shapes, self.axis = list(shapes), axis
        self.batch = 1 if axis is None else shapes[0][axis]
        self.sizes = [shape.numel() // max(1, self.batch) for shape in shapes]

    def rows(self, tensors: Sequence[Tensor]) -> Float[Tensor, "batch state"]:
        """The tensors as one."""
        return torch.cat([self._rows(tensor) for tensor in tensors], dim=-1)

    def _rows(self, tensor: Tensor) -> Tensor:
        if self.axis is None:
            return tensor.reshape(1, -1)
        return tensor.movedim(self.axis, 0).reshape(self.batch, -1)

    def tensors(self, rows: Float[Tensor, "batch state"]) -> list[Tensor]:
        """The inverse of ``rows``."""
        parts = rows.split(self.sizes, dim=-1)
        return [self._tensor(part, shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def _tensor(self, part: Tensor, shape: Size) -> Tensor:
        if self.axis is None:
            return part.reshape(shape)
        rest = [size for place, size in enumerate(shape) if place != self.axis]
        return part.reshape(self.batch, *rest).movedim(0, self.axis)


class LoopCell(Cell):
    """s_t = F_t(s_{t-1}): a step of a loop of modules, with what a model does between their calls.

    The state is every tensor that later calls need, side by side; F_t runs the modules again, with
    all gradients on, also where the training had them off. Inputs say which step and sample it is.
    What else the modules read is as it was.

    Args:
        program: runs a step again.
        layout: of the state.
        recorded: the states s_0 ... s_T, ``(time + 1, batch, state)``.
        trained: whether gradients are cut where the training cut them, by detach or no_grad.
    """

    def __init__(
        self,
        program: Program,
        layout: Layout,
        recorded: Float[Tensor, "times batch state"],
        *,
        trained: bool = False,
    ):
        ends = torch.tensor(layout.sizes).cumsum(0).tolist()
        self.parts = [slice(end - size, end) for end, size in zip(ends, layout.sizes, strict=True)]
        fresh = program.states.fresh[-1]
        self.read_out = self.parts[fresh.index(True) if True in fresh else 0]
        super().__init__(1, self.read_out.stop - self.read_out.start)
        self.program, self.layout, self.trained = program, layout, trained
        self.recorded = recorded
        self.copies = nn.ModuleList(program.modules.values())

    @property
    def state_size(self) -> int:
        """Numbers of one sample's state."""
        return sum(self.layout.sizes)

    @property
    def blocks(self) -> dict[str, slice]:
        """The tensors of the state; one block, h, where there is but one."""
        if len(self.parts) == 1:
            return {"h": self.parts[0]}
        return {f"s{index}": part for index, part in enumerate(self.parts)}

    def hidden(self, s: Float[Tensor, "*any state"]) -> Float[Tensor, "*any hidden"]:
        """The tensor that the last step made."""
        return s[..., self.read_out]

    def initial_state(self, batch_size: int) -> Float[Tensor, "batch state"]:
        """What came into the loop, of the batch's first samples."""
        return self.recorded[0, :batch_size]

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """The weights are the model's: they cannot be drawn anew."""
        raise GradscopeError("the weights are the attached model's")

    def as_trained(self) -> LoopCell:
        """The same steps, with gradients cut where the training cut them."""
        return LoopCell(self.program, self.layout, self.recorded, trained=True)

    def repeats(self) -> bool:
        """Whether it may go on and on: its steps are the same ones over and over."""
        time = self.program.states.time
        facts = [self.program.signature(step) for step in range(1, time + 1)]
        return any(
            time % period == 0 and all(a == b for a, b in zip(facts, facts[period:], strict=False))
            for period in range(1, time // 2 + 1)
        )

    # --- weights --------------------------------------------------------------------------------

    def weights(self) -> list[tuple[str, nn.Parameter]]:
        """The parameters under their names in the model; twice where two modules share one."""
        known = self.program.loop.ways.parameters
        found: list[tuple[str, nn.Parameter]] = []
        for candidate, module in self.program.modules.items():
            pairs = zip(candidate.module.parameters(), module.parameters(), strict=False)
            found += [(known[id(old)], new) for old, new in pairs if id(old) in known]
        return [*found, *self.program.between.items()]

    def named_parameters(
        self, *args: object, **kwargs: object
    ) -> Iterator[tuple[str, nn.Parameter]]:
        """The parameters under their names in the model."""
        yield from dict(reversed(self.weights())).items()

    # --- the step -------------------------------------------------------------------------------

    def layer(self, step: int, s: Float[Tensor, "batch state"]) -> Float[Tensor, "batch state"]:
        """F_t of a whole batch, t from 1."""
        after = self.program.run(step, self.layout.tensors(s), trained=self.trained)
        return self.layout.rows([part.to(s.dtype) for part in after])

    def forward(
        self, x: Float[Tensor, "*batch input"], s: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """The steps that x says; samples that are not asked for stay as they were recorded."""
        place = x[..., 0].detach().round().long().flatten()
        flat, batch = s.reshape(-1, s.shape[-1]), self.layout.batch
        after = torch.zeros_like(flat)
        for step in (place // batch).unique().tolist():
            rows = (place // batch == step).nonzero().flatten()
            own = place[rows] % batch
            whole = self.recorded[step].to(flat).index_copy(0, own, flat[rows])
            after = after.index_copy(0, rows, self.layer(step + 1, whole)[own])
        return after.reshape(s.shape)

    def jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state state"]:
        """J_t, row by row of an identity."""
        if x.dim() == 2:
            return self.jacobian(x[None], s_prev[None], s[None])[0]
        return jacobian_by_rows(self.linearise(x, s_prev, s), s_prev)

    def input_jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state input"]:
        """Zero: an input says which step it is."""
        return s_prev.new_zeros(*s_prev.shape, x.shape[-1])

    def linearise(
        self,
        x: Float[Tensor, "time *batch input"],
        s_prev: Float[Tensor, "time *batch state"],
        s: Float[Tensor, "time *batch state"],
    ) -> Linearisation:
        """Step by step, by autograd; no Jacobian is formed."""
        return LoopLinearisation(self, x, s_prev, {}, range(len(x)))


class LoopLinearisation(Linearisation):
    """The derivative of every step, by autograd on a graph each, made when it is needed.

    Args:
        cell: whose steps these are.
        x: says which.
        s_prev: states before them.
        graphs: those that were made, by step.
        steps: the steps that are meant.
    """

    def __init__(
        self,
        cell: LoopCell,
        x: Tensor,
        s_prev: Tensor,
        graphs: dict[int, tuple[Tensor, Tensor]],
        steps: Sequence[int],
    ):
        self.cell, self.x, self.s_prev = cell, x.detach(), s_prev.detach()
        self.graphs, self.steps = graphs, steps

    def _graph(self, step: int) -> tuple[Tensor, Tensor]:
        if step not in self.graphs:
            before = self.s_prev[step].clone().requires_grad_()
            with torch.enable_grad():
                after = self.cell(self.x[step], before)
            if after.grad_fn is None:  # everything in it is cut off
                after = after + 0 * before
            self.graphs[step] = before, after
        return self.graphs[step]

    def vjp(
        self, cotangent: Float[Tensor, "time *batch state"]
    ) -> tuple[Float[Tensor, "time *batch state"], Float[Tensor, "time *batch input"]]:
        """J^T a of each step; the input, a number, receives nothing."""
        carried = []
        for step, arriving in zip(self.steps, cotangent, strict=True):
            before, after = self._graph(step)
            carried += torch.autograd.grad(
                after, before, arriving, retain_graph=True, materialize_grads=True
            )
        by_state = torch.stack(carried) if carried else cotangent
        return by_state, torch.zeros_like(self.x[self._slice()])

    def jvp(
        self,
        tangent: Float[Tensor, "time *batch state"],
        by_input: Float[Tensor, "time *batch input"] | None = None,
    ) -> Float[Tensor, "time *batch state"]:
        """J v of each step: forward-mode, or two reverse passes where that does not know how."""
        moved = [self._jvp(step, v) for step, v in zip(self.steps, tangent, strict=True)]
        return torch.stack(moved) if moved else tangent

    def _jvp(self, step: int, v: Tensor) -> Tensor:
        before = self.s_prev[step]

        def moved(s: Tensor) -> Tensor:
            return self.cell(self.x[step], s)

        try:
            with torch.enable_grad(), warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*torch.jit", DeprecationWarning)  # torch's own
                return torch.func.jvp(moved, (before,), (v,))[1].detach()
        except (RuntimeError, NotImplementedError):
            leaf = before.clone().requires_grad_()
            with torch.enable_grad():
                after = moved(leaf)
                dual = torch.zeros_like(after, requires_grad=True)
                (back,) = torch.autograd.grad(after, leaf, dual, create_graph=True)
                return torch.autograd.grad(back, dual, v, materialize_grads=True)[0]

    def by_parameters(
        self,
        cotangent: Float[Tensor, "time *batch state"],
        names: Collection[str] | None = None,
    ) -> dict[str, Tensor]:
        """Gradients of the parameters of the modules, and of those between their calls."""
        wanted = [(n, p) for n, p in self.cell.weights() if names is None or n in names]
        chosen = [(name, p) for name, p in wanted if p.requires_grad]
        total = {name: torch.zeros_like(p) for name, p in chosen}
        for step, arriving in zip(self.steps, cotangent, strict=True):
            if not chosen or not bool(arriving.any()):
                continue
            gradients = torch.autograd.grad(
                self._graph(step)[1],
                [p for _, p in chosen],
                arriving,
                retain_graph=True,
                materialize_grads=True,
                allow_unused=True,
            )
            for (name, _), gradient in zip(chosen, gradients, strict=True):
                total[name] += gradient
        return total

    def at(self, steps: slice) -> LoopLinearisation:
        """The same for some of the steps; what was made stays."""
        return LoopLinearisation(self.cell, self.x, self.s_prev, self.graphs, self.steps[steps])

    def _slice(self) -> slice:
        return slice(self.steps[0], self.steps[-1] + 1) if self.steps else slice(0, 0)
