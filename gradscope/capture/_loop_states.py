"""The state of a loop: what all that comes later is made of, and when it is looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Size

from gradscope.capture._lineage import Value
from gradscope.capture._loop_calls import LoopCall
from gradscope.capture._loop_search import Found
from gradscope.errors import GradscopeError

#: tensors that a state may have
_MOST = 8
#: behind everything
_END = float("inf")
#: modules of a loop at whose calls the state is tried
_ANCHORS = 12


@dataclass(eq=False)
class States:
    """The states s_0 ... s_T of a loop, each a row of values of the same shapes.

    Attributes:
        where: when they are looked at, in words.
        rows: the values; None in s_0 where nothing that is known went before.
        fresh: which of each row were made by its step.
        shapes: of the values.
        calls: made in each step.
    """

    where: str
    rows: list[list[Value | None]]
    fresh: list[list[bool]]
    shapes: list[Size]
    calls: list[list[LoopCall]]

    @property
    def time(self) -> int:
        """Number of steps."""
        return max(0, len(self.rows) - 1)

    @property
    def size(self) -> int:
        """Numbers in a state, of all samples."""
        return sum(shape.numel() for shape in self.shapes)


def states_of(loop: Found) -> States:
    """The smallest state that there is, at as many times as there are; behind a call if it may be.

    Raises:
        GradscopeError: if it is spread over too many tensors, as where all earlier results are
            kept.
    """
    found = []
    for order, (where, times, closed) in enumerate(_anchors(loop)):
        if len(times) > 1:
            states = _Frontier(loop, times, closed=closed).states(where)
            if 0 < len(states.shapes) <= _MOST and states.time > 0:
                found.append((states.size, -states.time, order, states))
    if not found:
        raise GradscopeError(
            f"what its later calls need is spread over more than {_MOST} tensors, so that no state "
            "of a fixed size goes from one to the next"
        )
    return min(found, key=lambda entry: entry[:3])[-1]


def _anchors(loop: Found) -> Iterator[tuple[str, list[float], bool]]:
    """(where, times, whether the last time is behind all calls)."""
    calls = loop.calls
    start = [calls[0].start - 0.5]
    yield "after each call", [*start, *(float(call.end) for call in calls)], True
    for candidate in loop.candidates[:_ANCHORS]:
        own = [call for call in calls if call.of is candidate]
        name = candidate.name or type(candidate.module).__name__
        before = [call.start - 0.5 for call in own]
        yield f"before each call of {name}", before, False
        if loop.ways.tail and own:
            yield f"before each call of {name}", [*before, _END], True
        if len(loop.candidates) > 1:
            yield f"after each call of {name}", [*start, *(float(c.end) for c in own)], True


class _Frontier:
    """What is made before each of some times, and used after it.

    Args:
        loop: whose calls.
        times: on the lineage's clock.
        closed: whether nothing is used after the last.
    """

    def __init__(self, loop: Found, times: list[float], *, closed: bool):
        self.loop, self.ways, self.times, self.closed = loop, loop.ways, times, closed
        tail = () if closed and times[-1] == _END else loop.ways.tail
        self.derived = [v for v in self.ways.named if self.ways.derived(v) and v not in tail]
        self.last_use = _last_uses(loop, tail)
        self.bits = sum(candidate.bit for candidate in loop.candidates)
        self.row_before: list[Value | None] = []
        self._waiting = list(reversed(self.derived))  # the earliest last
        self._active: list[Value] = []
        self.row: list[Value | None] = []
        self.before: list[Value | None] = []  # s_0

    def states(self, where: str) -> States:
        """One row for each time."""
        rows: list[list[Value | None]] = []
        for place, time in enumerate(self.times):
            last = self.closed and place == len(self.times) - 1
            live = self._ends(place) if last else self._live(time)
            if last and not live:
                return States("", [], [], [], [])  # it does not end as it went on
            self.row_before = list(self.row)
            self._take(live, first=place == 0, last=last)
            rows.append(list(self.row))
        rows = [row + self.before[len(row) :] for row in rows]
        fresh = [[False] * len(self.before)]
        for before, after in pairwise(rows):
            fresh.append([one is not other for one, other in zip(before, after, strict=True)])
        shapes = [value.shape for value in rows[-1] if value is not None]
        ends = zip(self.times, self.times[1:], strict=False)
        calls = [[c for c in self.loop.calls if start < c.end <= end] for start, end in ends]
        return States(where, rows, fresh, shapes, calls)

    def _live(self, time: float) -> list[Value]:
        """Made before and used after, but for what can be made again of the others."""
        while self._waiting and self.ways.time(self._waiting[-1]) <= time:
            self._active.append(self._waiting.pop())
        self._active = [v for v in self._active if time < self.last_use.get(v, -1)]
        live, kept = self._active, set(self._active)
        for value in reversed(live):
            if value in self.ways.made_by:
                continue
            below = [v for v in self.ways.sources[value] if self.ways.derived(v)]
            if below and all(source in kept for source in below):
                kept.discard(value)
        return [value for value in live if value in kept]

    def _ends(self, place: int) -> list[Value]:
        """What the last step gives."""
        start, end = self.times[place - 1], self.times[place]
        if end == _END:
            return self._like_before()
        made = [v for v in self.ways.made_by if start < self.ways.time(v) <= end]
        return [v for v in made if self.last_use.get(v, -1) < end]

    def _like_before(self) -> list[Value]:
        """What was made behind the last call as states were made before."""
        found = []
        if len(self.row) != len(self.row_before):
            return []
        for value, old in zip(self.row, self.row_before, strict=True):
            if value is None or value is old:
                return []
            wanted = self._made_of(value, self.row_before)
            same = [v for v in self.ways.tail if self._made_of(v, self.row) == wanted]
            if not same:
                return []
            found.append(same[0])
        return found

    def _made_of(self, value: Value, row: list[Value | None]) -> object:
        """By which functions a value was made of a state and of what calls gave."""
        if value in row:
            return row.index(value)
        if value in self.ways.made_by:
            return self.ways.made_by[value].of
        operation = value.operation
        if operation is None or not value.bits & self.bits:
            return "constant"
        parts = [self._made_of(v, row) for v in operation.inputs]
        return operation.function, value.index, tuple(parts)

    def _take(self, live: Sequence[Value], *, first: bool, last: bool) -> None:
        """Put what is new into the places of what is not needed any more."""
        free = [i for i, value in enumerate(self.row) if value is None or value not in live]
        for value in live:
            if value in self.row:
                continue
            places = [i for i in free if self.row[i] is None or self._fits(self.row[i], value)]
            if places:
                place = min(places, key=lambda i: self._order(self.row[i], value))
                free.remove(place)
                self.row[place] = value
            elif not last:
                self.row.append(value)
                self.before.append(value if first else self._went_before(value))

    @staticmethod
    def _fits(old: Value | None, new: Value) -> bool:
        return old is not None and old.shape == new.shape

    def _order(self, old: Value | None, new: Value) -> int:
        """How soon one is met among what the other was made of."""
        met = list(self._below(new))
        return met.index(old) if old in met else len(met)

    def _below(self, value: Value) -> Iterator[Value]:
        """What a value was made of, the nearest first, back to what came from outside."""
        waiting, seen = [value], {value}
        while waiting:
            here = waiting.pop(0)
            for source in self.ways.sources.get(here, ()):
                if source not in seen:
                    seen.add(source)
                    yield source
                    if self.ways.derived(source) or source not in self.ways.made_by:
                        waiting.append(source)

    def _went_before(self, value: Value) -> Value | None:
        """What was in a place before the loop first wrote into it: from outside, and used up."""
        taken = set(self.before)
        for source in self._below(value):
            again = any(not self.ways.derived(v) for v in self.ways.sources.get(source, ()))
            if (
                not self.ways.derived(source)
                and not again
                and source not in taken
                and source.shape == value.shape
                and self.last_use.get(source, -1) <= self.ways.time(value)
            ):
                return source
        return None


def _last_uses(loop: Found, without: Sequence[Value]) -> dict[Value, float]:
    """When each value is last used by what later calls need."""
    uses: dict[Value, float] = {}
    for call in loop.calls:
        for value in call.inputs:
            uses[value] = max(uses.get(value, 0.0), float(call.start))
    for value, sources in loop.ways.sources.items():
        if value not in loop.ways.made_by and value not in without:
            for source in sources:
                uses[source] = max(uses.get(source, 0.0), float(loop.ways.time(value)))
    return uses
