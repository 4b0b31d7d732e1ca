"""Where along a stack's operations one state is all that is handed on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from torch import nn

from gradscope.capture._program import Operation
from gradscope.capture._tape import Tape
from gradscope.capture._way import Cut, State, Way

#: the shapes of a state's tensors
_Shapes = tuple[tuple[int, ...], ...]
#: the last place of a gap where a state of these shapes could be cut
_Places = dict[_Shapes, int]
#: functions that make tensors of nothing, such as numbers of positions, which are no data
_PLAIN = ("arange", "zeros", "ones", "full", "eye", "empty", "linspace")
#: operations after the last layer among which the last state's is looked for
_STEPS = 64


def cut(tape: Tape, way: Way, buffers: Collection[int]) -> Cut:
    """Find, between every two layers, the smallest set of tensors that all that follows needs.

    A tensor is of the state if it depends on what entered the stack, and a later layer needs it.
    Of several places between two layers at which the state is as small, the last is taken: what
    the next layer begins with. What a layer reads besides is constant.

    Args:
        tape: what was computed.
        way: through which layers.
        buffers: identities of the model's buffers, which are no data.
    """
    finder = _Finder(tape, way, buffers)
    return finder.found()


class _Finder:
    def __init__(self, tape: Tape, way: Way, buffers: Collection[int]):
        self.tape, self.way = tape, way
        self.operations = tape.operations
        self.first = [layer[0] for layer in way.layers]
        self.last = [layer[-1] for layer in way.layers]
        self.made_at = {
            number: place
            for place in range(way.start, way.stop)
            for number in self.operations[place].makes
        }
        self.known: dict[tuple[int, tuple[int, ...]], list[int]] = {}
        self.entering = self._entering(buffers)
        self.dependent = self._reached(self.entering, way.start)

    def found(self) -> Cut:
        """The states, or why there are none."""
        once = self._cut(self._end())
        if once.problem and (end := self._end_as_before()) is not None:
            again = self._cut(end)
            once = once if again.problem else again
        # what is needed follows from the end, and where the end is from what is between
        return once if once.problem or not once.states else self._cut(once.states[-1])

    def _cut(self, end: State) -> Cut:
        gaps = [self._gap(index, end) for index in range(1, len(self.first))]
        first = self._places(self.way.start, self.first[0], end)
        shapes = _common(gaps, [self._ends(end), first])
        if shapes is None or not all(shapes in gap for gap in gaps):
            return Cut(problem=self._unequal(gaps, end))
        between = [State(gap[shapes], self._live(gap[shapes], end)) for gap in gaps]
        last = self._alike(between, end, shapes)
        if self._shapes(last.tensors) != shapes:
            return Cut(problem=self._unequal(gaps, end, self._shapes(last.tensors)))
        if shapes not in first:
            return Cut([*between, last], missing=1)
        return Cut([State(first[shapes], self._live(first[shapes], end)), *between, last])

    # --- what the state may be of -----------------------------------------------------------------

    def _entering(self, buffers: Collection[int]) -> set[int]:
        """What entered the first layer, and of what that was made."""
        call = self.operations[self.first[0]]
        main = self._activation(call)
        if main is None:
            return set()
        shape = self.tape.tensors[main].shape
        data = self._data(buffers)
        found, waiting = {main}, [main]
        while waiting:
            place = self.made_at.get(waiting.pop())
            if place is None or place >= self.first[0]:
                continue
            operation = self.operations[place]
            new = [n for n in (*operation.reads, *operation.changes) if n not in found]
            found.update(new)
            waiting += new
        tensors = self.tape.tensors
        return {main} | {
            number
            for number in found & data
            if tensors[number].is_floating_point()
            and (self.tape.edges[number] is not None or tensors[number].shape == shape)
        }

    def _activation(self, call: Operation) -> int | None:
        """What among a block's arguments is the activation."""
        tensors = self.tape.tensors
        takes = [n for n in call.reads if tensors[n].is_floating_point()]
        shapes = [tensors[number].shape for number in call.gives[:1]]
        alike = [number for number in takes if tensors[number].shape in shapes]
        return next(iter([*alike, *takes]), None)

    def _data(self, buffers: Collection[int]) -> set[int]:
        """What depends on something that is neither a weight nor a buffer."""
        tensors, data = self.tape.tensors, set[int]()
        for place in range(self.way.start, self.first[0] + 1):
            operation = self.operations[place]
            for number in operation.reads:
                tensor = tensors[number]
                given = number not in self.made_at and not isinstance(tensor, nn.Parameter)
                if given and id(tensor) not in buffers:
                    data.add(number)
            made_of_data = not data.isdisjoint(operation.reads)
            if made_of_data or (not operation.takes and _name(operation) not in _PLAIN):
                data.update(operation.makes)
        return data

    def _reached(self, begin: Iterable[int], start: int) -> set[int]:
        """Everything that is made of some tensors."""
        reached = set(begin)
        for place in range(start, self.way.stop):
            operation = self.operations[place]
            if not reached.isdisjoint(operation.reads):
                reached.update(
                    number
                    for number in operation.makes
                    if operation.call < 0 or self.tape.latest[number] >= 0
                )
        return reached

    # --- where it is cut --------------------------------------------------------------------------

    def _live(self, at: int, end: State) -> list[int]:
        """The state before an operation: what was made, and is needed from there on."""
        used = set(end.tensors)
        for place in self._needed(end):
            if place >= at:
                used.update(self.operations[place].reads)
        return [n for n in sorted(used & self.dependent) if self.made_at.get(n, -1) < at]

    def _needed(self, end: State) -> list[int]:
        """The operations on which the last state depends, and which depend on the first."""
        key = (end.at, tuple(end.tensors))
        if key in self.known:
            return self.known[key]
        wanted, needed = set(end.tensors), list[int]()
        for place in range(end.at - 1, self.way.start - 1, -1):
            operation = self.operations[place]
            made = wanted.intersection(operation.makes) & self.dependent
            if made:
                needed.append(place)
                wanted.update(operation.reads)
        self.known[key] = needed[::-1]
        return self.known[key]

    def _gap(self, index: int, end: State) -> _Places:
        """The places before a layer where the state could be cut, by its shapes."""
        return self._places(self.last[index - 1] + 1, self.first[index], end)

    def _places(self, begin: int, stop: int, end: State) -> _Places:
        needed, places = set(self._needed(end)), _Places()
        for at in range(begin, stop + 1):
            if at in (begin, stop) or at in needed:
                live = self._live(at, end)
                if live:
                    places[self._shapes(live)] = at
        return places

    def _shapes(self, numbers: Iterable[int]) -> _Shapes:
        return tuple(tuple(self.tape.tensors[number].shape) for number in numbers)

    # --- the end ----------------------------------------------------------------------------------

    def _end(self) -> State:
        """After the last layer, where the fewest tensors are handed on for the first time."""
        last, after = self.last[-1], self._after()
        best: tuple[int, State] | None = None
        for at in [last + 1, *(p + 1 for p in self._steps(after))]:
            live = self._kept(at)
            own = [number for number in live if number in after]
            if own and (best is None or len(live) < best[0]):
                best = len(live), State(at, own)
        return best[1] if best else State(last + 1, self.operations[last].makes[:1])

    def _end_as_before(self) -> State | None:
        """After the operations that follow an earlier block, up to the last layer's input."""
        call = self.operations[self.first[-1]]
        entering = State(self.first[-1], [n for n in call.reads if n in self.dependent])
        gaps = [self._gap(index, entering) for index in range(1, len(self.first) - 1)]
        shapes = _common(gaps, [])
        if shapes is None or not all(shapes in gap for gap in gaps):
            return None
        between = [State(gap[shapes], self._live(gap[shapes], entering)) for gap in gaps]
        return self._alike(between, entering, shapes)

    def _steps(self, among: set[int]) -> list[int]:
        """The operations after the last layer that take something of these."""
        places = range(self.last[-1] + 1, self.way.stop)
        taking = [p for p in places if not among.isdisjoint(self.operations[p].reads)]
        return taking[:_STEPS]

    def _kept(self, at: int) -> list[int]:
        """What of the blocks' making is used after a place, by whatever it is."""
        used = {n for p in range(at, self.way.stop) for n in self.operations[p].reads}
        if at == self.way.stop:
            used.update(self.operations[at - 1].makes)
        begun = self.operations[self.first[0]].call
        of_blocks = {n for n in used & self.dependent if self.tape.latest[n] >= begun}
        return [n for n in sorted(of_blocks) if self.made_at.get(n, -1) < at]

    def _ends(self, end: State) -> _Places:
        """The places after the last layer where its state could be cut, by its shapes.

        What else is kept there, as for losses along the way, is kept at the end that is known.
        """
        after = self._after()
        aside = set(self._kept(end.at)) - set(end.tensors)
        places = _Places()
        for at in [self.last[-1] + 1, *(p + 1 for p in self._steps(after))]:
            live = self._kept(at)
            own = [number for number in live if number in after]
            if own and set(live) - set(own) <= aside:
                places.setdefault(self._shapes(own), at)
        return places

    def _alike(self, between: Sequence[State], end: State, shapes: _Shapes) -> State:
        """The end after the same operations as between two layers, where there are such.

        If not, the first place where the state has these shapes.
        """
        after = self._after()
        places = self._steps(after)
        mine = [_name(self.operations[place]) for place in places]
        for index in range(len(between) - 1, -1, -1):
            own = self._reached(self.operations[self.last[index]].makes, self.last[index] + 1)
            theirs = [
                _name(self.operations[place])
                for place in range(self.last[index] + 1, between[index].at)
                if not own.isdisjoint(self.operations[place].reads)
            ]
            if mine[: len(theirs)] != theirs:
                continue
            at = places[len(theirs) - 1] + 1 if theirs else self.last[-1] + 1
            live = [number for number in self._kept(at) if number in after]
            live = live or self.operations[at - 1].makes[:1]
            if self._shapes(live) == shapes:
                return State(at, live)
        at = self._ends(end).get(shapes)
        if at is None:
            return end
        return State(at, [number for number in self._kept(at) if number in after])

    def _after(self) -> set[int]:
        """What is made of what the last layer's block gave."""
        made = self.operations[self.last[-1]].makes
        given = [number for number in made if self.tape.latest[number] >= 0]
        return self._reached(given, self.last[-1] + 1)

    # --- where there is none ----------------------------------------------------------------------

    def _unequal(self, gaps: Sequence[_Places], end: State, last: _Shapes = ()) -> str:
        """What is handed on, where that differs from layer to layer; "" if nothing is."""
        if not all(gaps):
            return ""
        smallest = [min(gap, key=_size) for gap in gaps]
        shown = list(enumerate(smallest, 1))[:4]
        shown += [(len(self.first), last or self._shapes(end.tensors))]
        said = "; ".join(
            f"after layer {index}: {' and '.join(map(str, layer))}" for index, layer in shown
        )
        return (
            f"what is handed on from layer to layer is not always of one shape ({said}), as with "
            "dense connections, skips to far later blocks (U-Net), or a change of resolution: "
            "depth as time needs blocks that keep the shape; name those between two such places, "
            "such as the blocks of one stage"
        )


def _common(gaps: Sequence[_Places], ends: Sequence[_Places]) -> _Shapes | None:
    """The shapes of a state that is there between the most layers, and best at the ends as well.

    Of several the smallest, and of these that which is there last.
    """
    count = Counter(shapes for gap in gaps for shapes in gap)

    def rank(shapes: _Shapes) -> tuple[int, int, int, int]:
        at_ends = sum(shapes in end for end in ends)
        last = sum(gap.get(shapes, 0) for gap in gaps)
        return -count[shapes], _size(shapes), -at_ends, -last

    return min(count, key=rank, default=None)


def _size(shapes: _Shapes) -> int:
    return sum(math.prod(shape) for shape in shapes)


def _name(operation: Operation) -> str:
    function = operation.function
    return getattr(function, "__name__", type(function).__name__)
