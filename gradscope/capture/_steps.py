"""Modules that take one step a call: torch's *Cell modules, gradscope's cells, and whatever a user
calls (x, s) -> s.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.utils import _pytree as pytree

from gradscope.capture._watch import (
    Harvest,
    Received,
    Watch,
    bare_copy,
    copied,
    full_precision,
    hook,
    several_passes,
    versions,
    without_rounding,
)
from gradscope.cells import Cell
from gradscope.cells._conversion import convert
from gradscope.dynamics import Adjoints
from gradscope.dynamics.trace import Trace
from gradscope.errors import GradscopeError


def _read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    rest, values = dict(kwargs), list(args)
    for place, names in enumerate((("input", "x", "inputs"), ("hx", "s", "state", "h", "hidden"))):
        named = [rest.pop(name) for name in names if name in rest]
        if len(values) <= place and named:
            values.append(named[0])
    values += rest.values()
    return values[0], values[1] if len(values) > 1 else None


@dataclass(frozen=True)
class Step:
    """How one call of a module is one step s_t = F(x_t, s_{t-1}).

    The defaults are those of ``module(x, s) -> s``. A state is a tensor or a nest of tensors, each
    ``(batch, ...)``; x is a tensor ``(batch, ...)``. Samples of a batch must not meet within the
    step. Of a module that returns (y, s), a loss of y_t reaches s_{t-1}, by the adjoint recorded
    there, and not s_t, which is made beside y_t and not before it.

    Attributes:
        read: (args, kwargs) of a call -> (x, s); an s of None stands for zeros.
        state: the call's output -> s; ``lambda out: out[1]`` for a module that returns (y, s).
        call: (module, x, s) -> output, for a step with other arguments.
        hidden: which tensor of the nest is h, the part that is read out.
    """

    read: Callable[[tuple[Any, ...], dict[str, Any]], tuple[Any, Any]] = _read
    state: Callable[[Any], Any] = lambda output: output
    call: Callable[[nn.Module, Any, Any], Any] = lambda module, x, s: module(x, s)
    hidden: int = 0


class StepCell(Cell):
    """A user's step as a cell: the nest of state tensors laid side by side; derivatives by
    automatic differentiation.

    Its blocks are s0, s1, ... in the order of the nest.
    """

    def __init__(self, module: nn.Module, step: Step, x: Tensor, state: Any):
        leaves, self.nest = pytree.tree_flatten(state)
        self.shapes = [leaf.shape[1:] for leaf in leaves]
        sizes = [max(1, shape.numel()) for shape in self.shapes]
        super().__init__(max(1, x.shape[1:].numel()), sizes[step.hidden])
        ends = torch.tensor(sizes).cumsum(0).tolist()
        self.places = {
            f"s{i}": slice(end - size, end)
            for i, (end, size) in enumerate(zip(ends, sizes, strict=True))
        }
        self.step, self.module, self.x_shape, self.x_dtype = step, module, x.shape[1:], x.dtype
        self.state_blocks = tuple(self.places)  # type: ignore[misc]

    @property
    def state_size(self) -> int:
        """Of the whole nest."""
        return sum(place.stop - place.start for place in self.places.values())

    @property
    def blocks(self) -> dict[str, slice]:
        """The nest's tensors; none where there is but one."""
        return self.places if len(self.places) > 1 else {"h": slice(0, self.hidden_size)}

    def hidden(self, s: Float[Tensor, "*any state"]) -> Float[Tensor, "*any hidden"]:
        """The tensor that was said to be h."""
        return s[..., self.places[f"s{self.step.hidden}"]]

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Not ours to draw."""
        raise GradscopeError("the weights are the attached module's")

    def flat(self, state: Any) -> Tensor:
        """A nest as one tensor (batch, state)."""
        return torch.cat(
            [
                leaf.flatten(1) if leaf.dim() > 1 else leaf[:, None]
                for leaf in pytree.tree_leaves(state)
            ],
            dim=-1,
        )

    def forward(
        self, x: Float[Tensor, "*batch input"], s: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """One step of the module; any leading axes become one batch axis."""
        lead = torch.broadcast_shapes(x.shape[:-1], s.shape[:-1])
        x, s = x.expand(*lead, x.shape[-1]), s.expand(*lead, s.shape[-1])
        rows = s.reshape(-1, s.shape[-1])
        parts = zip(
            rows.split([p.stop - p.start for p in self.places.values()], dim=-1),
            self.shapes,
            strict=True,
        )
        nest = pytree.tree_unflatten([part.reshape(-1, *shape) for part, shape in parts], self.nest)
        given = x.reshape(-1, *self.x_shape)
        if not self.x_dtype.is_floating_point:
            given = given.round().to(self.x_dtype)
        return self.flat(self.step.state(self.step.call(self.module, given, nest))).reshape(
            *lead, -1
        )

    def _by_func(self, argument: int, x: Tensor, s_prev: Tensor) -> Tensor:
        try:
            return super()._by_func(argument, x, s_prev)
        except (
            RuntimeError,
            ValueError,
        ):  # vmap meets an operation that it cannot batch: row by row then
            linear, rows = self.linearise(x, s_prev, s_prev), []
            for unit in torch.eye(self.state_size, dtype=s_prev.dtype, device=s_prev.device):
                rows.append(linear.vjp(unit.expand_as(s_prev).contiguous())[1 - argument])
            return torch.stack(rows, dim=-2)


@dataclass
class _Call:
    x: Tensor
    before: Tensor | None
    after: Tensor
    given: tuple[
        tuple[Any, ...], ...
    ]  # identity, version and whether it has a gradient, of the state's tensors as they came in
    made: tuple[tuple[Any, ...], ...]
    weights: tuple[Any, ...]
    received: list[Received]
    kept: Any  # the state tensors themselves, so that identities stay unique
    storage: frozenset[int]
    given_storage: frozenset[int]
    needs_grad: bool
    linked: bool  # whether the state that came in has a gradient to pass on


class StepWatch(Watch):
    """Of one module that is called once a step."""

    def __init__(self, name: str, module: nn.Module, step: Step | None):
        super().__init__(name, module)
        self.own_step = step
        self.step = step or Step()
        self.copy: Any = None
        try:
            bare_copy(module)
        except Exception as error:
            raise GradscopeError(
                f"{self.label()!r} cannot be copied ({error}); a step is run again on a copy of its"
                " module, so make it one that copy.deepcopy can copy, or attach to a smaller"
                " module"
            ) from None
        self.calls: list[_Call] = []
        self._hooks, self._nest = ExitStack(), None

    def install(self, hooks: ExitStack) -> None:
        """After every call its input and state are kept."""
        self._hooks = hooks
        hook(hooks, self.module, self._after)

    def _after(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        x, before = self.step.read(args, kwargs)
        output = self._seen_from_outside(output)
        after = self.step.state(output)
        given, made = _leaves(before), _leaves(after)
        if not isinstance(x, Tensor) or not made:
            raise GradscopeError(
                f"{self.label()!r}: a step should be called as (x, s) with a tensor x and give the"
                " new s, a nest of tensors; say how to read its calls with"
                " gradscope.Step(read=..., state=...)"
            )
        if given and [leaf.shape for leaf in given] != [leaf.shape for leaf in made]:
            raise GradscopeError(
                f"{self.label()!r}: the state goes in as {[tuple(v.shape) for v in given]} and"
                f" comes out as {[tuple(v.shape) for v in made]}; if the call returns more than the"
                " state, say which part it is, such as gradscope.Step(state=lambda output:"
                " output[1]); if the state is not its second argument, say how to read and repeat"
                " a call with Step(read=..., call=...)"
            )
        single = x.dim() == 1 and isinstance(module, nn.RNNCellBase)
        rows = [leaf.unsqueeze(0) if single else leaf for leaf in made]
        self._nest = pytree.tree_unflatten(rows, pytree.tree_structure(after))
        if self.copy is None:  # with the weights that the first call has
            self.copy = full_precision(bare_copy(module))
        self.calls.append(
            _Call(
                x=copied(x.unsqueeze(0) if single else x),
                before=(
                    _flat([leaf.unsqueeze(0) if single else leaf for leaf in given])
                    if given
                    else None
                ),
                after=_flat(rows),
                given=_marks(given),
                made=_marks(made),
                weights=versions(module),
                received=[Received(leaf, self._hooks) for leaf in made],
                kept=(given, made),
                storage=frozenset(leaf.data_ptr() for leaf in made),
                given_storage=frozenset(leaf.data_ptr() for leaf in given),
                needs_grad=any(leaf.requires_grad for leaf in made),
                linked=any(leaf.grad_fn is not None for leaf in given),
            )
        )
        return output

    def _seen_from_outside(self, output: Any) -> Any:
        """The output with copies in the place of its state's tensors.

        A module may use one of them to make another, as an LSTM makes h of c: what arrives at a
        copy is what comes from outside alone. Its numbers are the same, and since autograd adds up
        what arrives in the order of creation, latest first, no sum is taken in another order: the
        training keeps every bit.
        """
        views = {
            id(leaf): leaf.clone()
            for leaf in _leaves(self.step.state(output))
            if leaf.requires_grad
        }
        seen = pytree.tree_map(lambda leaf: views.get(id(leaf), leaf), output)
        if len(views) and not {id(view) for view in views.values()} <= {
            id(leaf) for leaf in _leaves(self.step.state(seen))
        }:
            raise GradscopeError(
                f"{self.label()!r}: Step.state makes a new tensor of the output; it should pick"
                " tensors out of it as they are"
            )
        return seen

    def harvest(self) -> Harvest:
        """A trace for every unbroken chain of calls."""
        harvest = Harvest(
            notes=several_passes(self.label(), [r for call in self.calls for r in call.received])
        )
        chains = self._chains(harvest)
        for index, chain in enumerate(chains):
            name = self.label() + (f" ({index + 1})" if len(chains) > 1 else "")
            harvest.traces[name] = self._trace(chain)
            if (
                chain[0].before is not None
                and not chain[0].linked
                and bool(chain[0].before.ne(0).any())
            ):
                harvest.carried.add(name)
        return harvest

    def _chains(self, harvest: Harvest) -> list[list[_Call]]:
        if any(call.weights != self.calls[0].weights for call in self.calls):
            raise GradscopeError(
                f"the weights of {self.label()!r} changed within the recorded block: record one"
                " update at a time, its optimiser step after the last call"
            )
        chains: list[list[_Call]] = []
        changed = detached = 0
        for call in self.calls:
            own = next(
                (
                    c
                    for c in chains
                    if call.given and call.given == c[-1].made and call.x.shape == c[-1].x.shape
                ),
                None,
            )
            if own is not None:
                own.append(call)
                continue
            if chains and call.given:
                given = [mark[:2] for mark in call.given]
                same = [
                    c
                    for c in chains
                    if [mark[0] for mark in c[-1].made] == [mark[0] for mark in given]
                ]
                if any([mark[:2] for mark in c[-1].made] != given for c in same):
                    raise GradscopeError(
                        f"the state of {self.label()!r} was changed in place between two calls;"
                        " make a new tensor of it (such as h = h * mask) or let the step do it, so"
                        " that it can be seen"
                    )
                if call.needs_grad and call.linked:
                    changed += 1
                elif any(call.given_storage & c[-1].storage for c in chains):
                    detached += 1
            chains.append([call])
        if changed:
            harvest.notes.append(
                f"{self.label()}: {changed} time{'s' * (changed > 1)} the state that came in was"
                " not the one that had gone out but made of it: those steps stand apart, and how a"
                " gradient goes from one to the next is not seen. Put the change into a module"
                " whose call is the whole step, and name it in steps="
            )
        if detached:
            harvest.notes.append(
                f"{self.label()}: the state was detached {detached} time{'s' * (detached > 1)}; a"
                " gradient runs within each stretch only"
            )
        return chains

    def _trace(self, chain: list[_Call]) -> Trace:
        first = chain[0]
        cell = self._cell(first)
        dtype = torch.promote_types(first.after.dtype, torch.float32)
        inputs = torch.stack(
            [call.x.flatten(1) if call.x.dim() > 1 else call.x[:, None] for call in chain]
        ).to(dtype)
        start = torch.zeros_like(first.after) if first.before is None else first.before
        states = torch.stack([start, *(call.after for call in chain)]).to(dtype)
        try:
            with torch.no_grad():
                again = cell(inputs, states[:-1])
        except GradscopeError:
            raise
        except Exception as error:
            raise GradscopeError(
                f"{self.label()!r} cannot be called again as (x, s) -> s: {type(error).__name__}:"
                f" {error}. Is it a step? If it is called otherwise, say how with"
                " gradscope.Step(read=..., call=..., state=...)"
            ) from error
        difference = (
            (again - states[1:])
            .abs()
            .nan_to_num(0.0 if not bool(states.sum().isfinite()) else float("inf"))
        )
        if not float(difference.max()) <= 1e4 * torch.finfo(first.after.dtype).eps * max(
            1.0, float(states.abs().max())
        ):
            step = int(difference.flatten(1).amax(1).argmax()) + 1
            raise GradscopeError(
                f"{self.label()!r}: step {step}, taken again, gives another state (by"
                f" {float(difference.max()):.2g}): it is not a function of x and s alone. Switch"
                " dropout off (eval()), keep no state inside the module, and if it makes up its"
                " own first state, pass that in"
            )
        trace = Trace(cell, inputs, states.requires_grad_())
        return self._with_immediate(trace, chain)

    def _cell(self, call: _Call) -> Cell:
        if self.own_step is None and type(self.copy) in (nn.RNNCell, nn.LSTMCell, nn.GRUCell):
            return convert(self.copy)
        if self.own_step is None and isinstance(self.copy, Cell):
            return self.copy
        return StepCell(self.copy, self.step, call.x, self._nest)

    def _with_immediate(self, trace: Trace, chain: list[_Call]) -> Trace:
        """What hooks saw at a state is its total gradient: the immediate one is what J^T of the
        next one's leaves of it.
        """
        if all(received.value is None for call in chain for received in call.received):
            return trace
        states = trace.states.detach()
        totals = torch.zeros_like(states)
        for t, call in enumerate(chain):
            leaves = [
                r.value if r.value is not None else torch.zeros_like(leaf)
                for r, leaf in zip(call.received, call.kept[1], strict=True)
            ]
            totals[t + 1] = _flat(
                [
                    leaf if leaf.dim() > 1 or len(states[0]) > 1 else leaf.unsqueeze(0)
                    for leaf in leaves
                ]
            )
        linear = trace.memo(
            "linearised", lambda: trace.cell.linearise(trace.inputs, states[:-1], states[1:])
        )
        carried = linear.vjp(totals[1:])[0].detach()
        immediate = totals.clone()
        immediate[:-1] = without_rounding(totals[:-1] - carried, totals[:-1].abs() + carried.abs())
        immediate[0] = 0
        scale = torch.zeros(states.shape[:2], dtype=torch.float64, device=states.device)
        return Trace(
            trace.cell,
            trace.inputs,
            trace.states,
            immediate=Adjoints(immediate, scale),
            cache={"linearised": linear},
        )


def _marks(leaves: list[Tensor]) -> tuple[tuple[Any, ...], ...]:
    return tuple((id(leaf), leaf._version, leaf.requires_grad) for leaf in leaves)


def _leaves(state: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(state) if isinstance(leaf, Tensor)]


def _flat(leaves: list[Tensor]) -> Tensor:
    return torch.cat(
        [copied(leaf).flatten(1) if leaf.dim() > 1 else copied(leaf)[:, None] for leaf in leaves],
        dim=-1,
    )
