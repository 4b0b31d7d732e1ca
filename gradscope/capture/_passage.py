"""The layers of one way through a stack, cut out of what was computed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from torch import Tensor, nn

from gradscope.capture._program import Layer, Operation
from gradscope.capture._tape import Tape
from gradscope.capture._watch import copied
from gradscope.capture._way import Cut, Way

#: said where the way from one block to the next cannot be followed
LOST = (
    "what lies between two blocks cannot be followed: something that a layer reads was made of an "
    "earlier one by what torch does not show (a torch.autograd.Function, a scripted function, "
    "another thread); make it part of a block, and name the container of such blocks"
)


class LostError(Exception):
    """Something that a layer reads cannot be had again; the message says why."""


class Layers:
    """Cuts the layers out, with copies of the weights and other tensors that they read.

    Args:
        tape: what was computed.
        way: through which blocks.
        cut: where one layer ends and the next begins.
        names: of the model's weights, by identity.

    Attributes:
        between: weights that are read between the blocks, by name.
    """

    def __init__(self, tape: Tape, way: Way, cut: Cut, names: dict[int, str]):
        self.tape, self.way, self.cut, self.names = tape, way, cut, names
        self.between: dict[str, nn.Parameter] = {}
        self._weights: dict[int, nn.Parameter] = {}
        # without autograd what ran under torch.no_grad() says nothing
        self.is_heard = any(tape.tensors[n].requires_grad for n in cut.states[-1].tensors)
        self.made_at = {
            number: place
            for place in range(way.start, way.stop)
            for number in tape.operations[place].makes
        }

    def values(self) -> list[list[Tensor]]:
        """The states, tensor by tensor."""
        return [[self._value(number) for number in state.tensors] for state in self.cut.states]

    def made(self) -> list[Layer]:
        """Every layer, first to last."""
        states = self.cut.states
        return [self._layer(before.tensors, after.tensors) for before, after in pairwise(states)]

    def _layer(self, takes: list[int], gives: list[int]) -> Layer:
        places, wanted, given = set[int](), [n for n in gives if n not in takes], set(takes)
        needed = self._from(set(takes))
        while wanted:
            number = wanted.pop()
            place = self.made_at.get(number)
            if place is None or place in places or not (number in needed or self._weighs(number)):
                continue
            places.add(place)
            operation = self.tape.operations[place]
            wanted += [n for n in (*operation.reads, *operation.changes) if n not in given]
        operations = [self.tape.operations[place] for place in sorted(places)]
        if not self.is_heard:
            operations = [replace(operation, grad=True) for operation in operations]
        known = given | {number for operation in operations for number in operation.makes}
        read = {n for op in operations for n in (*op.takes, *op.changes) if n not in known}
        read |= set(gives) - known
        return Layer(operations, takes, gives, {number: self._constant(number) for number in read})

    def _from(self, takes: set[int]) -> set[int]:
        """Everything that is made of a state."""
        reached = set(takes)
        for place in range(self.way.start, self.way.stop):
            operation = self.tape.operations[place]
            if not reached.isdisjoint(operation.reads):
                reached.update(
                    number
                    for number in operation.makes
                    if operation.call < 0 or self.tape.latest[number] >= 0
                )
        return reached

    def _weighs(self, number: int) -> bool:
        """Whether it is made of weights alone, by few operations, so that they have gradients."""
        waiting, steps = [number], 0
        while waiting:
            here = waiting.pop()
            place, tensor = self.made_at.get(here), self.tape.tensors[here]
            if place is None:
                if isinstance(tensor, nn.Parameter):
                    continue
                return False
            operation: Operation = self.tape.operations[place]
            steps += 1
            if steps > _FEW or operation.call >= 0 or not operation.reads:
                return False
            waiting += operation.reads
        return steps > 0

    def _constant(self, number: int) -> Tensor:
        tensor = self.tape.tensors[number]
        if isinstance(tensor, nn.Parameter):
            return self._weight(tensor)
        if tensor.requires_grad and self._is_lost(number):
            raise LostError(LOST)
        return self._value(number)

    def _is_lost(self, number: int) -> bool:
        return (
            number not in self.made_at
            and self.tape.ancestry.latest([self.tape.tensors[number]])
            >= self.tape.operations[self.way.layers[0][0]].call
        )

    def _weight(self, weight: nn.Parameter) -> nn.Parameter:
        if id(weight) not in self._weights:
            made = nn.Parameter(copied(weight), requires_grad=weight.requires_grad)
            name = self.names.get(id(weight), f"weight{len(self._weights)}").replace(".", "_")
            self._weights[id(weight)] = self.between[name] = made
        return self._weights[id(weight)]

    def _value(self, number: int) -> Tensor:
        value = self.tape.value(number)
        if value is None:
            raise LostError(
                "an activation was changed in place after it was read, by what torch does not "
                "show: its values are lost; write x = x + y in the place of such a change"
            )
        return value.clone()


#: operations on weights alone, such as their normalisation, that are taken with a layer
_FEW = 16
