"""Depth as time: a stack of blocks x_{l+1} = F_l(x_l) is a recurrence whose step changes from layer
to layer.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from gradscope.capture._watch import (
    Harvest,
    Received,
    Watch,
    bare_copy,
    copied,
    hook,
    versions,
    without_rounding,
)
from gradscope.cells import Cell
from gradscope.dynamics import Adjoints
from gradscope.dynamics.linearisation import Linearisation
from gradscope.dynamics.trace import Trace
from gradscope.errors import GradscopeError

#: ways through the blocks in one recorded block that are all kept; of more, as of a stack inside a
#: loop over time, the last
_PASSES = 4


@dataclass
class _Pass:
    """One block's call."""

    block: nn.Module
    before: Tensor
    after: Tensor
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    given: int
    kept: Tensor
    received: Received


class DepthCell(Cell):
    """x_l = F_l(x_{l-1}), l being the input; a state is one sample's whole activation, flattened.

    Samples of a batch must not meet within a block (no batch statistics).
    """

    along_depth = True

    def __init__(self, passes: list[_Pass], shape: torch.Size, *, stochastic: bool):
        super().__init__(1, shape.numel())
        self.passes, self.shape, self.stochastic = passes, shape, stochastic
        self.layers = nn.ModuleList([each.block for each in passes])

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Not ours to draw."""
        raise GradscopeError("the weights are the attached model's")

    def layer(self, index: int, s: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        """F_l."""
        if self.stochastic:
            raise GradscopeError(
                "a block gives another output when it is run again: switch dropout off"
                " (model.eval()) to see Jacobians of depth; adjoints, which autograd gave, are"
                " there all the same"
            )
        each = self.passes[index]
        rows = s.reshape(-1, *self.shape).to(each.before.dtype)
        return _first(each.block(rows, *each.args, **each.kwargs)).reshape(*s.shape)

    def forward(
        self, x: Float[Tensor, "*batch input"], s: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """The layer that x says, one for all, or one for each entry of the first axis."""
        if x.dim() > 2 and len(x) > 1:
            return torch.stack(
                [self.layer(int(each.flatten()[0]), own) for each, own in zip(x, s, strict=True)]
            )
        return self.layer(int(x.flatten()[0]), s)

    def jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state state"]:
        """dx_l/dx_{l-1} of every sample, row by row of an identity, all samples at once."""
        linear = self.linearise(x, s_prev, s)
        units = torch.eye(self.state_size, dtype=s.dtype, device=s.device)
        rows = [linear.vjp(unit.expand(s_prev.shape).contiguous())[0] for unit in units]
        return torch.stack(rows, dim=-2)

    def linearise(
        self,
        x: Float[Tensor, "time batch input"],
        s_prev: Float[Tensor, "time batch state"],
        s: Float[Tensor, "time batch state"],
    ) -> Linearisation:
        """Layer by layer, by autograd."""
        single = x.dim() == 2
        return DepthLinearisation(
            self, x[None] if single else x, s_prev[None] if single else s_prev, single=single
        )


class DepthLinearisation(Linearisation):
    """One graph a layer."""

    def __init__(self, cell: DepthCell, x: Tensor, s_prev: Tensor, *, single: bool = False):
        self.cell, self.x, self.single = cell, x, single
        self.index = [int(each.flatten()[0]) for each in x]
        self.before = [part.detach().requires_grad_() for part in s_prev]
        with torch.enable_grad():
            self.after = [
                cell.layer(index, part) for index, part in zip(self.index, self.before, strict=True)
            ]

    def vjp(self, cotangent: Float[Tensor, "time batch state"]) -> tuple[Tensor, Tensor]:
        """J^T a of each layer; the input, a number, receives nothing."""
        cotangents = cotangent[None] if self.single else cotangent
        found = torch.stack(
            [
                torch.autograd.grad(after, before, own, retain_graph=True, materialize_grads=True)[
                    0
                ]
                for after, before, own in zip(self.after, self.before, cotangents, strict=True)
            ]
        )
        nothing = torch.zeros_like(self.x)
        return (found[0], nothing[0]) if self.single else (found, nothing)

    def jvp(
        self,
        tangent: Float[Tensor, "time batch state"],
        by_input: Float[Tensor, "time batch input"] | None = None,
    ) -> Float[Tensor, "time batch state"]:
        """By forward-mode differentiation."""
        return torch.stack(
            [
                torch.func.jvp(
                    lambda s, index=index: self.cell.layer(index, s), (before.detach(),), (own,)
                )[1].detach()
                for index, before, own in zip(self.index, self.before, tangent, strict=True)
            ]
        )

    def by_parameters(
        self, cotangent: Float[Tensor, "time batch state"], names: Collection[str] | None = None
    ) -> dict[str, Tensor]:
        """Of every block."""
        named = {
            name: p for name, p in self.cell.named_parameters() if names is None or name in names
        }
        total = {name: torch.zeros_like(p) for name, p in named.items()}
        for after, own in zip(self.after, cotangent, strict=True):
            found = torch.autograd.grad(
                after,
                list(named.values()),
                own,
                retain_graph=True,
                materialize_grads=True,
                allow_unused=True,
            )
            for name, value in zip(named, found, strict=True):
                total[name] += value
        return total

    def at(self, steps: slice) -> DepthLinearisation:
        """Of these layers."""
        return DepthLinearisation(
            self.cell, self.x[steps], torch.stack([part.detach() for part in self.before[steps]])
        )


class DepthWatch(Watch):
    """Of the blocks in one container, called one after another."""

    def __init__(self, name: str, module: nn.Module):
        super().__init__(name, module)
        self.blocks = list(module.children())
        self.copies = dict(
            zip(self.blocks, [bare_copy(block) for block in self.blocks], strict=True)
        )  # as they are before any update
        self.stamps = {block: versions(block) for block in self.blocks}
        self.passes: list[_Pass] = []
        self.first: Received | None = None
        self._entering: Any = None
        self._hooks = ExitStack()

    def install(self, hooks: ExitStack) -> None:
        """What enters and leaves every block is kept."""
        self._hooks = hooks
        for block in self.blocks:
            hook(hooks, block, self._after, self._before)

    def _before(self, block: nn.Module, args: Any, kwargs: Any) -> None:
        values = [*args, *kwargs.values()]
        self._entering = copied(values[0]) if values and isinstance(values[0], Tensor) else None

    def _after(self, block: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        values = [*args, *kwargs.values()]
        if not values or not isinstance(values[0], Tensor):
            raise GradscopeError(
                f"{self.label()!r}: a block should be called with the activation as its first"
                " argument"
            )
        after = _first(output)
        if after.shape != values[0].shape:
            raise GradscopeError(
                f"{self.label()!r}: a block turns {tuple(values[0].shape)} into"
                f" {tuple(after.shape)}; depth as time needs blocks that keep the shape: name a"
                " container of such blocks"
            )
        if not self.passes:
            self.first = Received(values[0], self._hooks)
        if versions(block) != self.stamps[block]:
            raise GradscopeError(
                f"the weights of {self.label()!r} changed within the recorded block before a block"
                " was called: record one update at a time, its optimiser step at the end"
            )
        rest = {name: value for name, value in kwargs.items() if args or value is not values[0]}
        self.passes.append(
            _Pass(
                self.copies[block],
                self._entering,
                copied(after),
                args[1:],
                rest,
                id(values[0]),
                after,
                Received(after, self._hooks),
            )
        )

    def harvest(self) -> Harvest:
        """One trace for each way through the blocks."""
        harvest = Harvest()
        runs: list[list[_Pass]] = []
        for each in self.passes:
            linked = (
                runs and each.given == id(runs[-1][-1].kept) and len(runs[-1]) < len(self.blocks)
            )
            runs[-1].append(each) if linked else runs.append([each])
        long = [run for run in runs if len(run) > 1]
        if self.passes and not long:
            harvest.notes.append(
                f"{self.label()}: no block's output was the next one's input, so there is no depth"
                " to look along; name the container whose modules are called one after another"
            )
        if len(long) > _PASSES:
            harvest.notes.append(
                f"{self.label()}: went through {len(long)} times; the last time is shown"
            )
            long = long[-1:]
        for index, run in enumerate(long):
            name = self.label("depth") + (f" ({index + 1})" if len(long) > 1 else "")
            harvest.traces[name] = self._trace(run, first=run[0] is self.passes[0])
            if harvest.traces[name].cell.stochastic:
                harvest.notes.append(
                    f"{name}: its blocks are random (dropout), so that it has adjoints but no"
                    " Jacobians; see eval()"
                )
        return harvest

    def _trace(self, run: list[_Pass], *, first: bool) -> Trace:
        states = torch.stack([run[0].before.flatten(1), *(each.after.flatten(1) for each in run)])
        cell = DepthCell(run, run[0].before.shape[1:], stochastic=False)
        index = torch.arange(len(run), dtype=states.dtype, device=states.device)[
            :, None, None
        ].expand(-1, states.shape[1], 1)
        with torch.no_grad(), _same_random():
            again = cell(index, states[:-1])
        allowed = 1e4 * torch.finfo(states.dtype).eps * max(1.0, float(states.abs().max()))
        cell.stochastic = not float((again - states[1:]).abs().max()) <= allowed
        received = [self.first if first else None, *(each.received for each in run)]
        if all(part is None or part.value is None for part in received):
            return Trace(cell, index, states.requires_grad_())
        totals = torch.stack(
            [
                (
                    torch.zeros_like(states[0])
                    if part is None or part.value is None
                    else part.value.flatten(1)
                )
                for part in received
            ]
        )
        scale = torch.zeros(states.shape[:2], dtype=torch.float64, device=states.device)
        cache: dict[Any, Any] = {}
        immediate = torch.zeros_like(totals)
        immediate[-1] = totals[-1]
        if cell.stochastic:
            by_input = None
        else:
            cache["linearised"] = linear = cell.linearise(index, states[:-1], states[1:])
            carried, by_input = linear.vjp(totals[1:])
            if not first or self.first is None or self.first.value is None:
                totals[0] = carried[0]
            immediate[1:-1] = without_rounding(
                (totals[:-1] - carried)[1:], (totals[:-1].abs() + carried.abs())[1:]
            )
        by_input = Adjoints(torch.zeros_like(index) if by_input is None else by_input, scale[1:])
        cache["adjoints"] = Adjoints(totals, scale, by_input)
        return Trace(
            cell, index, states.requires_grad_(), immediate=Adjoints(immediate, scale), cache=cache
        )


def _same_random() -> Any:
    """Running a block again draws from the generator and leaves it as it was."""
    devices = (
        [torch.cuda.current_device()]
        if torch.cuda.is_available() and torch.cuda.is_initialized()
        else []
    )
    return torch.random.fork_rng(devices=devices)


def _first(output: Any) -> Tensor:
    return output[0] if isinstance(output, tuple | list) else output


def containers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Lists and sequences of at least two blocks of one class, outermost first: where depth may be
    looked along.
    """
    found: list[tuple[str, nn.Module]] = []
    for name, module in model.named_modules():
        blocks = list(module.children())
        inside = any(name == outer or name.startswith(f"{outer}.") for outer, _ in found if outer)
        if isinstance(module, nn.Sequential | nn.ModuleList) and len(blocks) > 1 and not inside:
            kinds = {type(block) for block in blocks}
            if len(kinds) == 1 and any(True for _ in blocks[0].parameters()):
                found.append((name, module))
    return found
