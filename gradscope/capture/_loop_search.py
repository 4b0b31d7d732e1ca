"""Which modules form a loop: calls that go on from what they gave before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from gradscope.capture._lineage import Operation, Value
from gradscope.capture._loop_calls import Candidate, LoopCall

#: calls of one of torch's own layers on its own output from which on they are a loop
_LAYER_CALLS = 3
#: values that a matrix may be made of
_FEW = 20


@dataclass(eq=False)
class Found:
    """Modules whose calls go on from each other's, and one unbroken chain of these.

    Attributes:
        candidates: the modules, in the order of their first calls.
        calls: in the order in which they were made.
        ways: what each value that goes into a call was made of.
        changed: how many later calls are left out, as the weights were other ones by then.
    """

    candidates: list[Candidate]
    calls: list[LoopCall]
    ways: Ways
    changed: int = 0

    @property
    def name(self) -> str:
        """The module's name; that of the list that holds them, or all of them."""
        names = [candidate.name for candidate in self.candidates]
        parents = {name.rpartition(".")[0] for name in names}
        numbered = all(name.rpartition(".")[2].isdecimal() for name in names)
        if len(names) > 1 and len(parents) == 1 and numbered and "" not in parents:
            return parents.pop()
        return "+".join(names)

    @property
    def kind(self) -> str:
        """What the reader should take it for."""
        kinds = list(dict.fromkeys(type(c.module).__name__ for c in self.candidates))
        many = f"{len(self.candidates)} " if len(self.candidates) > len(kinds) else ""
        whose = "its" if len(self.candidates) == 1 else "their"
        return f"{many}{' and '.join(kinds)}, a loop over {whose} own output"

    @property
    def module(self) -> nn.Module:
        """The module, or all of them."""
        modules = [candidate.module for candidate in self.candidates]
        return modules[0] if len(modules) == 1 else nn.ModuleList(modules)


class Ways:
    """What the values that go into calls, and come out of them, are made of.

    Args:
        calls: whose values these are.
        parameters: the model's, by the identity of their tensors.
        broken: values that are taken as given from outside.
        tail: what was made behind the calls.
    """

    def __init__(
        self,
        calls: Sequence[LoopCall],
        parameters: Mapping[int, str],
        broken: frozenset[Value] = frozenset(),
        tail: Sequence[Value] = (),
    ):
        self.parameters, self.broken, self.tail = parameters, broken, tail
        self.bits = 0
        for call in calls:
            self.bits |= call.of.bit
        self.made_by = {value: call for call in calls for value in call.made}
        named = [value for call in calls for value in (*call.inputs, *call.made)]
        self.named = dict.fromkeys(sorted((*named, *tail), key=self.time))
        self.sources: dict[Value, list[Value]] = {}
        self.weights: dict[Value, set[str]] = {}
        self.before: dict[Value, dict[Candidate, LoopCall]] = {}
        for value in self.named:
            self._look(value)

    def time(self, value: Value) -> int:
        """When it was made."""
        return self.made_by[value].end if value in self.made_by else value.time

    def _look(self, value: Value) -> None:
        call = self.made_by.get(value)
        if call is not None:
            self.sources[value], self.before[value] = call.inputs, {call.of: call}
            return
        self.sources[value], self.weights[value] = self.below(value.operation)
        latest: dict[Candidate, LoopCall] = {}
        for source in self.sources[value] if value not in self.broken else ():
            for candidate, earlier in self.before.get(source, {}).items():
                known = latest.get(candidate)
                if known is None or earlier.end > known.end:
                    latest[candidate] = earlier
        self.before[value] = latest

    def below(self, operation: Operation | None) -> tuple[list[Value], set[str]]:
        """The values of calls from which an operation made something, and with which matrices."""
        found: dict[Value, None] = {}
        weights: set[str] = set()
        waiting, seen = [operation] if operation else [], set[int]()
        while waiting:
            here = waiting.pop()
            if id(here) in seen:
                continue
            seen.add(id(here))
            on_way = any(value.bits & self.bits for value in here.inputs)
            for value in here.inputs:
                if value in self.named:
                    found[value] = None
                elif on_way and not value.bits & self.bits:
                    weights |= self._matrices(value)
                if value not in self.named and value.operation is not None:
                    waiting.append(value.operation)
        return list(found), weights

    def _matrices(self, value: Value) -> set[str]:
        """The model's matrices that something is made of, and of nothing else."""
        waiting, found = [value], set[str]()
        while waiting:
            here = waiting.pop()
            if here.operation is not None and len(waiting) < _FEW:
                waiting += here.operation.inputs
            elif here.leaf is None or id(here.leaf) not in self.parameters:
                return set()
            elif here.leaf.dim() > 1:
                found.add(self.parameters[id(here.leaf)])
        return found

    def derived(self, value: Value) -> bool:
        """Whether it was made of what one of the calls gave."""
        return bool(self.before.get(value))

    def previous(self, call: LoopCall) -> dict[Candidate, LoopCall]:
        """The latest call of each module from whose result something came in."""
        latest: dict[Candidate, LoopCall] = {}
        for value in call.inputs:
            for candidate, earlier in self.before[value].items():
                if candidate not in latest or earlier.end > latest[candidate].end:
                    latest[candidate] = earlier
        return latest


def found_in(
    candidates: Sequence[Candidate],
    parameters: Mapping[int, str],
    tail: Sequence[Value] = (),
    *,
    exactly: bool,
) -> list[Found]:
    """The loops among what was called.

    Args:
        candidates: with their calls.
        parameters: the model's, by the identity of their tensors.
        tail: what was made behind the last call.
        exactly: whether the modules were named, so that each is taken as it is.
    """
    looping = [c for c in candidates if c.loops and len(c.calls) > 1]
    chosen = looping if exactly else _outermost(looping)
    calls = [
        call
        for candidate in chosen
        for call in candidate.calls
        if exactly or not call.inside(chosen)
    ]
    found = []
    for system in _systems(calls, Ways(calls, parameters)):
        system.sort(key=lambda call: call.start)
        found += _chains(system, parameters, tail, exactly=exactly)
    return sorted(found, key=lambda loop: loop.calls[0].start)


def _outermost(looping: list[Candidate]) -> list[Candidate]:
    """Those that are not only called within others; inner loops where these alone are loops."""
    outer = [
        candidate
        for candidate in looping
        if any(not call.inside(_others(looping, candidate)) for call in candidate.calls)
    ]
    chosen: list[Candidate] = []
    for candidate in outer:
        within = [other for other in looping if _loops_within(other, candidate)]
        chosen += within or [candidate]
    return list(dict.fromkeys(chosen))


def _others(candidates: list[Candidate], one: Candidate) -> list[Candidate]:
    return [candidate for candidate in candidates if candidate is not one]


def _loops_within(inner: Candidate, outer: Candidate) -> bool:
    """Whether one is called on its own output within one call of the other, nothing between."""
    if inner is outer:
        return False
    for earlier, later in zip(inner.calls, inner.calls[1:], strict=False):
        if earlier.within is later.within and later.inside([outer]):
            ways = Ways([earlier, later], {})
            for value in later.inputs:
                if ways.derived(value) and (
                    value in ways.made_by or not _parameters_below(value, ways)
                ):
                    return True
    return False


def _parameters_below(value: Value, ways: Ways) -> bool:
    """Whether something with weights lies between two calls."""
    waiting, seen = [value], set[Value]()
    while waiting:
        here = waiting.pop()
        if here in ways.made_by or here in seen or here.operation is None:
            continue
        seen.add(here)
        for below in here.operation.inputs:
            if isinstance(below.leaf, nn.Parameter) and below.leaf.dim() > 1:
                return True
            waiting.append(below)
    return False


def _systems(calls: list[LoopCall], ways: Ways) -> list[list[LoopCall]]:
    """Calls of modules that go on from each other's, around in a circle."""
    reach: dict[Candidate, set[Candidate]] = {call.of: set() for call in calls}
    for call in calls:
        for earlier in ways.previous(call):
            reach[earlier].add(call.of)
    changed = True
    while changed:
        changed = False
        for known in reach.values():
            more = set[Candidate]().union(*(reach[other] for other in known)) - known
            changed = changed or bool(more)
            known |= more
    systems: list[list[LoopCall]] = []
    seen: set[Candidate] = set()
    for one, others in reach.items():
        if one not in others or one in seen:
            continue
        circle = {other for other in others if one in reach[other]}
        seen |= circle
        systems.append([call for call in calls if call.of in circle])
    return systems


def _chains(
    calls: list[LoopCall],
    parameters: Mapping[int, str],
    tail: Sequence[Value],
    *,
    exactly: bool,
) -> list[Found]:
    """Unbroken chains of calls.

    Where matrices lie between two calls that lie between no others of the chain, as those of a
    block of its own, the chain ends: it is a stack of different blocks with something shared.
    """
    broken: set[Value] = set()
    ways = Ways(calls, parameters)
    for chain in () if exactly else _connected(calls, ways):
        between: dict[str, set[LoopCall]] = {}
        values = {value for call in chain for value in call.inputs if ways.derived(value)}
        for value in values:
            latest = max(ways.before[value].values(), key=lambda call: call.end)
            for name in ways.weights.get(value, ()):
                between.setdefault(name, set()).add(latest)
        once = {name for name, where in between.items() if len(where) == 1}
        broken |= {value for value in values if ways.weights.get(value, set()) & once}
    if broken:
        ways = Ways(calls, parameters, frozenset(broken))
    chains = []
    for whole in _connected(calls, ways):
        chain = _of_one_update(whole)
        candidates = list(dict.fromkeys(call.of for call in chain))
        most = Counter(call.of for call in chain).most_common(1)[0][1]
        leaf = all(candidate.leaf for candidate in candidates)
        if most >= (_LAYER_CALLS if leaf else 2) and any(ways.previous(call) for call in chain):
            again = Ways(chain, parameters, frozenset(broken), tail)
            chains.append(Found(candidates, chain, again, len(whole) - len(chain)))
    return chains


def _of_one_update(calls: list[LoopCall]) -> list[LoopCall]:
    """The calls up to the first one with other weights."""
    first = {call.of: call.weights for call in reversed(calls)}
    for place, call in enumerate(calls):
        if call.weights != first[call.of]:
            return calls[:place]
    return calls


def _connected(calls: list[LoopCall], ways: Ways) -> list[list[LoopCall]]:
    """Calls that go on from each other, in the order of time."""
    chain_of: dict[LoopCall, list[LoopCall]] = {}
    for call in calls:
        chain: list[LoopCall] = []
        for earlier in ways.previous(call).values():
            other = chain_of[earlier]
            if other is not chain:
                chain, less = (other, chain) if len(other) > len(chain) else (chain, other)
                chain += less
                chain_of |= dict.fromkeys(less, chain)
        chain.append(call)
        chain_of[call] = chain
    unique = {id(chain): chain for chain in chain_of.values()}.values()
    return [sorted(chain, key=lambda call: call.start) for chain in unique]
