"""Modules that take one step a call, watched.

torch's *Cell modules, gradscope's cells, and whatever a user calls as (x, s) -> s.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from gradscope.capture._ancestry import Ancestry, Laid, Made, Origin, way_between
from gradscope.capture._call import RandomState
from gradscope.capture._forward import EMPTY
from gradscope.capture._step import Nest, Step, leaves, rows, side_by_side
from gradscope.capture._step_calls import Entering, StepCall, chains
from gradscope.capture._step_cell import RandomStepCell, StepCell
from gradscope.capture._watch import (
    Args,
    Harvest,
    Kwargs,
    Recorded,
    Watch,
    bare_copy,
    copied,
    full_precision,
    recomputing,
    several_passes,
    versions,
)
from gradscope.capture._whole_step import WholeStep, with_totals, with_ways
from gradscope.cells import Cell
from gradscope.cells._conversion import convert
from gradscope.dynamics import Trace
from gradscope.errors import GradscopeError

#: whose equation is known; a subclass may take another step
_TORCH_CELLS = (nn.RNNCell, nn.LSTMCell, nn.GRUCell)


class StepWatch(Watch):
    """Watches one module that is called once a step.

    Args:
        name: of the module in the model.
        module: that is watched.
        step: how it is called; None where it is a cell of torch's or ours, or ``module(x, s)``.
    """

    def __init__(self, name: str, module: nn.Module, step: Step | None):
        super().__init__(name, module)
        self.is_cell = step is None
        self.step = step or Step()
        self.copy: nn.Module | None = None
        self.calls: list[StepCall] = []
        self._nest: Nest = None
        self._ancestry = Ancestry()
        self._entering: Entering | None = None
        self._random: RandomState | None = None

    # --- while the model runs -------------------------------------------------------------------

    def put_hooks(self) -> None:
        """Keep the input and the states of every call."""
        self.hook(self.module, self._after, self._before)

    def _before(self, module: nn.Module, args: Args, kwargs: Kwargs) -> None:
        x, before = self.step.read(args, kwargs)
        came = leaves(before)
        self._random = self._entering = None
        if not isinstance(x, Tensor):
            raise GradscopeError(
                f"'{self.place}': a step should be called as (x, s) with a tensor x and give the "
                "new s, a nest of tensors; say how to read its calls with "
                "gradscope.Step(read=..., state=...)"
            )
        if x.dim() > 1 and not x.shape[0]:
            self.onlooker.unseen[EMPTY] += 1
            return
        if not self.is_cell and module.training:
            self._random = RandomState.now(x.device)
        single = x.dim() == 1 and isinstance(module, nn.RNNCellBase)
        self._entering = Entering(
            x=copied(x.unsqueeze(0) if single else x),
            before=side_by_side(_batched(came, single)) if came else None,
            came=came,
            single=single,
            origin=self._origin(came, x, single) if came and self.calls else Origin(),
        )

    def _origin(self, came: list[Tensor], x: Tensor, single: bool) -> Origin:
        previous, same = self._ancestry.origin(came)
        if previous < 0:
            return Origin()
        call = self.calls[previous]
        by_input = self._ancestry.latest([x]) == previous

        def as_rows(tensor: Tensor) -> Tensor:
            return rows(tensor.unsqueeze(0) if single else tensor)

        return Origin.by(
            previous,
            lambda: way_between(
                Laid(() if same else came, as_rows),
                Laid((x,), as_rows) if by_input else None,
                [Made(*made, as_rows) for made in zip(call.edges, call.made, strict=True)],
            ),
        )

    def _after(self, module: nn.Module, args: Args, kwargs: Kwargs, output: Nest) -> Nest:
        entering, self._entering = self._entering, None
        if entering is None:
            return None
        output = self._seen_from_outside(output)
        after = self.step.state(output)
        made = leaves(after)
        self._check_state(entering.came, made)
        batched = _batched(made, entering.single)
        self._nest = pytree.tree_unflatten(batched, pytree.tree_structure(after))
        if self.copy is None:  # with the weights that the first call has
            self.copy = self._copied(module)
        self._ancestry.known(made, len(self.calls))
        self.calls.append(
            StepCall(
                entering=entering,
                after=side_by_side(batched),
                made=made,
                edges=self._ancestry.made(made, len(self.calls)),
                weights=versions(module),
                received=[self.receive(leaf) for leaf in made],
                lowered=torch.is_autocast_enabled(entering.x.device.type),
                again=recomputing(),
                random=self._random,
            )
        )
        return output

    def _copied(self, module: nn.Module) -> nn.Module:
        try:
            return full_precision(bare_copy(module))
        except Exception as error:
            raise GradscopeError(
                f"'{self.place}' cannot be copied ({error}); a step is run again on a copy of its "
                "module, so make it one that copy.deepcopy can copy, or attach to a smaller module"
            ) from None

    def _check_state(self, came: list[Tensor], made: list[Tensor]) -> None:
        """The state comes out in the shapes in which it goes in."""
        if not made:
            raise GradscopeError(
                f"'{self.place}': a step should be called as (x, s) with a tensor x and give the "
                "new s, a nest of tensors; say how to read its calls with "
                "gradscope.Step(read=..., state=...)"
            )
        if came and [leaf.shape for leaf in came] != [leaf.shape for leaf in made]:
            raise GradscopeError(
                f"'{self.place}': the state goes in as {[tuple(leaf.shape) for leaf in came]} and "
                f"comes out as {[tuple(leaf.shape) for leaf in made]}; if the call returns more "
                "than the state, say which part it is, such as gradscope.Step(state=lambda output: "
                "output[1]); if the state is not its second argument, say how to read and repeat "
                "a call with Step(read=..., call=...)"
            )

    def _seen_from_outside(self, output: Nest) -> Nest:
        """The output with copies in the place of its state's tensors.

        A module may use one of them to make another, as an LSTM makes h of c: what arrives at a
        copy is what comes from outside alone. Its numbers are the same, and since autograd adds up
        what arrives in the order of creation, latest first, no sum is taken in another order: the
        training keeps every bit. A tensor that the state holds twice has a copy for each place.
        """
        wanted = {id(leaf) for leaf in leaves(self.step.state(output)) if leaf.requires_grad}
        found, structure = pytree.tree_flatten(output)
        copies = [leaf.clone() if id(leaf) in wanted else leaf for leaf in found]
        picked = {
            id(leaf) for leaf in leaves(self.step.state(pytree.tree_unflatten(copies, structure)))
        }
        of_state = {
            id(leaf): copy
            for leaf, copy in zip(found, copies, strict=True)
            if id(leaf) in wanted and id(copy) in picked
        }
        if wanted - of_state.keys():
            raise GradscopeError(
                f"'{self.place}': Step.state makes a new tensor of the output; it should pick "
                "tensors out of it as they are"
            )
        whole = [
            of_state[id(leaf)] if id(leaf) in wanted and id(copy) not in picked else copy
            for leaf, copy in zip(found, copies, strict=True)
        ]
        return pytree.tree_unflatten(whole, structure)

    # --- afterwards -----------------------------------------------------------------------------

    def harvest(self) -> Harvest:
        """A trace for every unbroken chain of calls."""
        received = [gradient for call in self.calls for gradient in call.received]
        harvest = Harvest(notes=several_passes(self.place, received))
        unbroken = chains(self.calls, self.place, harvest.notes)
        for index, chain in enumerate(unbroken):
            place = self.place.in_stretch(index, len(unbroken))
            harvest.recorded.append(Recorded(place, self._trace(chain), chain[0].carried))
        return harvest

    def _trace(self, chain: list[StepCall]) -> Trace:
        first = chain[0]
        cell = self._cell(first)
        dtype = torch.promote_types(first.after.dtype, torch.float32)
        start = first.entering.before
        start = torch.zeros_like(first.after) if start is None else start
        inputs = torch.stack([rows(call.entering.x) for call in chain]).to(dtype)
        states = torch.stack([start, *(call.after for call in chain)]).to(dtype)
        befores = [call.entering.before for call in chain[1:]]
        came = torch.stack([start, *(before for before in befores if before is not None)]).to(dtype)
        ways = [None, *(call.origin.way for call in chain[1:])]
        lowered = any(call.lowered for call in chain)
        epsilon = torch.finfo(torch.bfloat16 if lowered else first.after.dtype).eps
        again = with_ways(cell, inputs, states, came, ways)
        departs = self._departure(*again, epsilon)
        randoms = [call.random for call in chain if call.random is not None]
        if departs and len(randoms) == len(chain):
            cell = self._random_cell(first, randoms)
            again = with_ways(cell, WholeStep.numbered(inputs), states, came, ways)
            departs = self._departure(*again, epsilon)
        if departs:
            raise GradscopeError(
                f"'{self.place}': {departs}: it is not a function of x and s alone. Keep no state "
                "inside the module, draw no random numbers but torch's own, and if it makes up "
                "its own first state, pass that in"
            )
        cell, inputs, states = again
        trace = Trace(cell, inputs, states.requires_grad_())
        if all(received.value is None for call in chain for received in call.received):
            return trace
        few = slice(trace.batch)
        totals = torch.stack([call.by_state[few] for call in chain]).to(states)
        return with_totals(trace, totals)[0]

    def _cell(self, call: StepCall) -> Cell:
        module = self.copy
        assert module is not None
        if self.is_cell and isinstance(module, Cell):
            return module
        if self.is_cell and isinstance(module, nn.RNNCellBase) and type(module) in _TORCH_CELLS:
            return convert(module)
        return StepCell(module, self.step, call.entering.x, self._nest)

    def _random_cell(self, call: StepCall, randoms: list[RandomState]) -> Cell:
        """The step, which draws again what it drew."""
        assert self.copy is not None
        return RandomStepCell(
            self.copy, self.step, call.entering.x, self._nest, randoms, len(call.after)
        )

    def _departure(self, cell: Cell, inputs: Tensor, states: Tensor, epsilon: float) -> str:
        """How the step, taken again, departs from what it gave; "" where it does not.

        Raises:
            GradscopeError: if it cannot be called again.
        """
        try:
            with torch.no_grad():
                again = cell(inputs, states[:-1])
        except GradscopeError:
            raise
        except Exception as error:
            raise GradscopeError(
                f"'{self.place}' cannot be called again as (x, s) -> s: {type(error).__name__}: "
                f"{error}. Is it a step? If it is called otherwise, say how with "
                "gradscope.Step(read=..., call=..., state=...)"
            ) from error
        finite = bool(states.sum().isfinite())
        difference = (again - states[1:]).abs().nan_to_num(float("inf") if finite else 0.0)
        # of few digits an error of a thousand units would be as large as the state
        allowed = (1e4 if epsilon < 1e-5 else 16) * epsilon * max(1.0, float(states.abs().max()))
        if float(difference.max()) <= allowed:
            return ""
        step = int(difference.flatten(1).amax(1).argmax()) + 1
        return f"step {step}, taken again, gives another state (by {float(difference.max()):.2g})"


def _batched(tensors: list[Tensor], single: bool) -> list[Tensor]:
    return [leaf.detach().unsqueeze(0) if single else leaf.detach() for leaf in tensors]
