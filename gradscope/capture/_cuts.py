"""Where along a stack's operations one state is all that is handed on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from torch import nn

from gradscope.capture._program import Operation
from gradscope.capture._tape import Tape

#: a state's size, in numbers, at each place of a gap where one could be cut
_Sizes = dict[int, list[int]]
#: operations after the last layer among which the last state's is looked for
_STEPS = 64


@dataclass
class Way:
    """One way through a stack: calls of blocks, each made of what the one before gave.

    Attributes:
        layers: places, among the tape's operations, of each layer's calls.
        start: the first operation that belongs to it.
        stop: the operation before which it ends.
    """

    layers: list[list[int]] = field(default_factory=list)
    start: int = 0
    stop: int = 0


@dataclass
class State:
    """What is handed on between two layers.

    Attributes:
        at: the operation before which it is cut.
        tensors: their numbers.
    """

    at: int
    tensors: list[int]


@dataclass
class Cut:
    """The states along a way.

    Attributes:
        states: one before each layer, and the last.
        problem: why there are none; "" where there are.
        missing: layers at the beginning that are left out, as what enters them is another state.
    """

    states: list[State] = field(default_factory=list)
    problem: str = ""
    missing: int = 0


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
        end = self._end()
        for _ in range(2):
            gaps = [self._gap(index, end) for index in range(1, len(self.first))]
            size = _common(gaps)
            if size is None:
                return Cut(problem=self._unequal(gaps, end))
            places = [gap.get(size, []) for gap in gaps]
            if not all(places):
                return Cut(problem=self._unequal(gaps, end))
            between = [State(found[-1], self._live(found[-1], end)) for found in places]
            end = self._alike(between, end)
            if self._size(end.tensors) != size:
                shapes = [tuple(self.tape.tensors[number].shape) for number in end.tensors]
                return Cut(problem=self._unequal(gaps, end, shapes))
        before = self._before(end).get(size)
        if before is None:
            return Cut([*between, end], missing=1)
        return Cut([State(before[-1], self._live(before[-1], end)), *between, end])

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
            new = [n for n in (*operation.takes, *operation.changes) if n not in found]
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
        takes = [n for n in call.takes if tensors[n].is_floating_point()]
        shapes = [tensors[number].shape for number in call.gives[:1]]
        alike = [number for number in takes if tensors[number].shape in shapes]
        return next(iter([*alike, *takes]), None)

    def _data(self, buffers: Collection[int]) -> set[int]:
        """What depends on something that is neither a weight nor a buffer."""
        tensors, data = self.tape.tensors, set[int]()
        for place in range(self.way.start, self.first[0] + 1):
            operation = self.operations[place]
            for number in operation.takes:
                tensor = tensors[number]
                given = number not in self.made_at and not isinstance(tensor, nn.Parameter)
                if given and id(tensor) not in buffers:
                    data.add(number)
            if data.intersection(operation.takes):
                data.update(operation.makes)
        return data

    def _reached(self, begin: Iterable[int], start: int) -> set[int]:
        """Everything that is made of some tensors."""
        reached = set(begin)
        for place in range(start, self.way.stop):
            operation = self.operations[place]
            if not reached.isdisjoint(operation.takes):
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
                used.update(self.operations[place].takes)
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
                wanted.update(operation.takes)
        self.known[key] = needed[::-1]
        return self.known[key]

    def _gap(self, index: int, end: State) -> _Sizes:
        """The places before a layer where the state could be cut, by its size."""
        return self._places(self.last[index - 1] + 1, self.first[index], end)

    def _before(self, end: State) -> _Sizes:
        """Those before the first layer."""
        return self._places(self.way.start, self.first[0], end)

    def _places(self, begin: int, stop: int, end: State) -> _Sizes:
        needed = set(self._needed(end))
        sizes: _Sizes = {}
        for at in range(begin, stop + 1):
            if at != stop and at not in needed and at != begin:
                continue
            size = sum(self.tape.tensors[number].numel() for number in self._live(at, end))
            if size:
                sizes.setdefault(size, []).append(at)
        return sizes

    # --- the end ----------------------------------------------------------------------------------

    def _end(self) -> State:
        """After the last layer, where the fewest tensors are handed on for the first time."""
        last = self.last[-1]
        given = [n for n in self.operations[last].makes if self.tape.latest[n] >= 0]
        after = self._reached(given, last + 1)
        best: tuple[int, State] | None = None
        for at in [last + 1, *(p + 1 for p in self._steps(after))]:
            live = self._kept(at)
            own = [number for number in live if number in after]
            if own and (best is None or len(live) < best[0]):
                best = len(live), State(at, own)
        return best[1] if best else State(last + 1, given[:1])

    def _steps(self, among: set[int]) -> list[int]:
        """The operations after the last layer that take something of these."""
        places = range(self.last[-1] + 1, self.way.stop)
        taking = [p for p in places if not among.isdisjoint(self.operations[p].takes)]
        return taking[:_STEPS]

    def _kept(self, at: int) -> list[int]:
        """What is used after a place, by whatever it is."""
        used = {n for p in range(at, self.way.stop) for n in self.operations[p].takes}
        if at == self.way.stop:
            used.update(self.operations[at - 1].makes)
        return [n for n in sorted(used & self.dependent) if self.made_at.get(n, -1) < at]

    def _alike(self, between: Sequence[State], end: State) -> State:
        """The end after the same operations as between two layers, where there are such."""
        given = set(self.operations[self.last[-1]].makes)
        after = self._reached(given, self.last[-1] + 1)
        places = self._steps(after)
        mine = [_name(self.operations[place]) for place in places]
        for index in range(len(between) - 1, -1, -1):
            own = self._reached(self.operations[self.last[index]].makes, self.last[index] + 1)
            theirs = [
                _name(self.operations[place])
                for place in range(self.last[index] + 1, between[index].at)
                if not own.isdisjoint(self.operations[place].takes)
            ]
            if mine[: len(theirs)] != theirs:
                continue
            at = places[len(theirs) - 1] + 1 if theirs else self.last[-1] + 1
            live = [number for number in self._kept(at) if number in after]
            if len(live) == 0:
                live = self.operations[at - 1].makes[:1]
            if self._size(live) == self._size(between[index].tensors):
                return State(at, live)
        return end

    def _size(self, numbers: Iterable[int]) -> int:
        return sum(self.tape.tensors[number].numel() for number in numbers)

    # --- where there is none ----------------------------------------------------------------------

    def _unequal(
        self, gaps: Sequence[_Sizes], end: State, last: Sequence[tuple[int, ...]] = ()
    ) -> str:
        """What is handed on, where that differs from layer to layer."""
        shapes = []
        for gap in gaps:
            if not gap:
                return ""
            smallest = gap[min(gap)][-1]
            live = self._live(smallest, end)
            shapes.append([tuple(self.tape.tensors[number].shape) for number in live])
        shown = list(enumerate(shapes, 1))[:4]
        shown += [(len(self.first), list(last))] if last else []
        said = "; ".join(
            f"after layer {index}: {' and '.join(map(str, layer))}" for index, layer in shown
        )
        return (
            f"what is handed on from layer to layer is not always of one size ({said}), as with "
            "dense connections, skips to far later blocks (U-Net), or a change of resolution: "
            "depth as time needs a state of one size; name the blocks between two such places, "
            "such as those of one stage"
        )


def _common(gaps: Sequence[_Sizes]) -> int | None:
    """The size of a state that is there between the most layers; of several the smallest."""
    count = Counter(size for gap in gaps for size in gap)
    return min(count, key=lambda size: (-count[size], size), default=None)


def _name(operation: Operation) -> str:
    function = operation.function
    return getattr(function, "__name__", type(function).__name__)
