"""Calls of one module that go on from each other's states, as chains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar, runtime_checkable

from gradscope.capture._ancestry import Origin, Way
from gradscope.capture._place import Place


@runtime_checkable
class Chained(Protocol):
    """What is to be known of a call before it is put into a chain."""

    @property
    def again(self) -> bool:
        """Whether it was made again within a backward pass (checkpointing)."""
        ...

    @property
    def trains(self) -> bool:
        """Whether a gradient can come back to what it made."""
        ...

    @property
    def origin(self) -> Origin:
        """Where the state that came in is from."""
        ...

    @property
    def came_at(self) -> frozenset[int]:
        """Addresses of the state that came in."""
        ...

    @property
    def made_at(self) -> frozenset[int]:
        """Addresses of the state that it made: one that comes in from there was detached."""
        ...


_C = TypeVar("_C", bound=Chained)


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


def chains_of(
    calls: Sequence[_C],
    kept: Sequence[_C],
    place: Place,
    *,
    fits: Callable[[_C, _C], bool] = lambda before, after: True,
    steps: Callable[[_C], int] = lambda call: 1,
    branched: str = "",
) -> tuple[list[list[_C]], list[str]]:
    """Unbroken chains, each call going on from the state that the one before made.

    Args:
        calls: in the order in which they were made.
        kept: those of them that are looked at.
        place: of the module, for messages.
        fits: whether the later of two calls may go on from the earlier.
        steps: that a call takes.
        branched: what is said of a state that another call has gone on from already; "" is nothing.

    Returns:
        The chains; why they ended, and what else their reader should know.
    """
    unbroken, of_call, apart = list[list[_C]](), dict[int, list[_C]](), Counter[str]()
    there, detached = {id(call) for call in kept}, 0
    for number, call in enumerate(calls):
        if id(call) not in there:
            continue
        previous, way, problem = call.origin
        chain = of_call.get(previous)
        if chain is None:
            detached += any(call.came_at & other[-1].made_at for other in unbroken)
        elif way is None or chain[-1] is not calls[previous] or not fits(chain[-1], call):
            apart.update(filter(None, [problem or branched]))
            chain = None
        if chain is None:
            unbroken.append(chain := [])
        chain.append(call)
        of_call[number] = chain
    notes = [
        *_apart_notes(place, apart),
        *_way_notes(place, [call.origin.way for chain in unbroken for call in chain[1:]]),
        *_detached_notes(place, detached, [sum(map(steps, chain)) for chain in unbroken]),
    ]
    return unbroken, notes


def _apart_notes(place: Place, apart: Counter[str]) -> list[str]:
    """Why stretches begin anew though their state comes from a call before."""
    return [
        f"{place}: {_times(count)} {why}: a stretch begins anew" for why, count in apart.items()
    ]


def _way_notes(place: Place, ways: Sequence[Way | None]) -> list[str]:
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


def _detached_notes(place: Place, times: int, lengths: Sequence[int]) -> list[str]:
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
