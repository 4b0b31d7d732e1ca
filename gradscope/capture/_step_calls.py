"""Calls of a module that takes one step each, and the chains that they form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from torch import Tensor
from torch.autograd.graph import GradientEdge

from gradscope.capture._ancestry import Way
from gradscope.capture._call import RandomState
from gradscope.capture._place import Place
from gradscope.capture._step import side_by_side
from gradscope.capture._watch import Mark, Received


@runtime_checkable
class _Made(Protocol):
    @property
    def again(self) -> bool: ...

    @property
    def trains(self) -> bool: ...


_C = TypeVar("_C", bound=_Made)


@dataclass(frozen=True, eq=False)
class Entering:
    """What comes into a call, looked at before it is made.

    Attributes:
        x: the input, ``(batch, ...)``.
        before: the state, ``(batch, state)``; None where none was given.
        came: its tensors, kept so that their identities stay unique.
        single: whether it was of one sequence without a batch axis.
        previous: the call that made the state, or of whose result it was made; -1 if there is none.
        way: from the state that that call made; None where it cannot be taken.
        problem: why it cannot; "" if it can.
    """

    x: Tensor
    before: Tensor | None
    came: list[Tensor]
    single: bool
    previous: int
    way: Way | None
    problem: str = ""


@dataclass(eq=False)
class StepCall:
    """One call of a module that takes one step.

    Attributes:
        entering: what came in.
        after: the state that it made.
        made: the tensors that it made, kept so that their identities stay unique.
        edges: their places in autograd's graph.
        weights: what tells the weights of that time.
        received: the gradient that arrives at each tensor that it made.
        lowered: whether torch chose lower precision for some operations.
        again: whether it was made again within a backward pass (checkpointing).
        random: from which it drew; None where nothing is drawn.
    """

    entering: Entering
    after: Tensor
    made: list[Tensor]
    edges: list[GradientEdge | None]
    weights: tuple[Mark, ...]
    received: list[Received]
    lowered: bool
    again: bool
    random: RandomState | None = None

    @property
    def trains(self) -> bool:
        """Whether a gradient can come back to what it made."""
        return any(edge is not None for edge in self.edges)

    @property
    def linked(self) -> bool:
        """Whether the state that came in has a gradient to pass on."""
        return any(leaf.grad_fn is not None for leaf in self.entering.came)

    @property
    def carried(self) -> bool:
        """Whether it begins in a state that came, detached, from somewhere."""
        before = self.entering.before
        return before is not None and not self.linked and bool(before.ne(0).any())

    @property
    def by_state(self) -> Tensor:
        """The gradient that arrived at the state that it made, ``(batch, state)``."""
        gradients = [r.or_zero(leaf) for r, leaf in zip(self.received, self.made, strict=True)]
        single = self.entering.single
        return side_by_side([g.unsqueeze(0) if single else g for g in gradients]).detach()

    def shares_storage(self, other: StepCall) -> bool:
        """Whether the state that came in lies where another call's does: it was detached."""
        return bool(_addresses(self.entering.came) & _addresses(other.made))


def _addresses(tensors: list[Tensor]) -> set[int]:
    return {tensor.data_ptr() for tensor in tensors}


def chains(calls: list[StepCall], place: Place, notes: list[str]) -> list[list[StepCall]]:
    """Unbroken chains, each call going on from the state that the one before made.

    What a model does to the state between two calls is part of the later one's step.

    Args:
        calls: in the order in which they were made.
        place: of the module, for messages.
        notes: gains why a chain ended, and what else its reader should know.
    """
    there = of_training(calls, place, notes)
    if later := [call for call in there if call.weights != there[0].weights]:
        there = [call for call in there if call.weights == there[0].weights]
        notes.append(
            f"{place}: its weights changed within the recorded block; {len(later)} later call"
            f"{'s' * (len(later) > 1)} are left out: record one update at a time"
        )
    kept = {id(call) for call in there}
    unbroken: list[list[StepCall]] = []
    of_call: dict[int, list[StepCall]] = {}
    apart: dict[str, int] = {}
    detached = 0
    for number, call in enumerate(calls):
        if id(call) not in kept:
            continue
        entering = call.entering
        chain = of_call.get(entering.previous)
        if chain is not None and entering.way is not None and chain[-1] is calls[entering.previous]:
            chain.append(call)
        else:
            if chain is not None:
                why = entering.problem or "more than one call goes on from the same state"
                apart[why] = apart.get(why, 0) + 1
            elif any(call.shares_storage(other[-1]) for other in unbroken):
                detached += 1
            chain = [call]
            unbroken.append(chain)
        of_call[number] = chain
    if not any(call.trains for call in calls) and len(unbroken) > 1:
        notes.append(
            f"{place}: its calls were made without a gradient, so that what a model does to the "
            "state between two of them cannot be followed"
        )
    notes += apart_notes(place, apart)
    notes += way_notes(place, [call.entering.way for chain in unbroken for call in chain[1:]])
    notes += detached_notes(place, detached, [len(chain) for chain in unbroken])
    return unbroken


def of_training(calls: list[_C], place: Place, notes: list[str]) -> list[_C]:
    """The calls that a gradient can come back to; all where there is none such."""
    there = [call for call in calls if call.trains]
    first = [call for call in there if not call.again]  # what is made again has no gradient then
    there = first or there
    left_out = sum(not call.again and not call.trains for call in calls)
    if any(call.again for call in there) or not there:
        left_out = 0  # without a gradient the first time, and made again with one
    if not left_out:
        return there or calls
    notes.append(
        f"{place}: {left_out} of {len(calls)} calls were made without a gradient "
        "(no_grad, or an evaluation) and are left out"
    )
    return there


def apart_notes(place: Place, apart: Mapping[str, int]) -> list[str]:
    """Why stretches begin anew though their state comes from a call before."""
    return [
        f"{place}: {_times(count)} {why}: a stretch begins anew" for why, count in apart.items()
    ]


def way_notes(place: Place, ways: Sequence[Way | None]) -> list[str]:
    """What the reader of a recurrence should know of what lies between its calls."""
    notes = []
    if any(way is not None and way.mixed for way in ways):
        notes.append(
            f"{place}: the samples of a batch meet between two calls (as in batch normalisation); "
            "Jacobians are of each sample by itself, adjoints of all"
        )
    if any(way is not None and way.unread for way in ways):
        notes.append(
            f"{place}: its input depends on its own earlier state in a way of which no Jacobian is "
            "made here: it counts as a gradient from outside, and adjoints are whole"
        )
    return notes


def detached_notes(place: Place, times: int, lengths: Sequence[int]) -> list[str]:
    """That a state was detached, and how regularly, by the steps of each stretch."""
    if not times:
        return []
    period, several = "", set(lengths[:-1])
    if len(several) == 1 and len(lengths) > 2:
        length = several.pop()
        period = f", every {length} steps" if length > 1 else ", at every step"
    return [
        f"{place}: the state was detached {_times(times)}{period}; a gradient runs within each "
        "stretch only"
    ]


def _times(count: int) -> str:
    return f"{count} time{'s' * (count > 1)}"
