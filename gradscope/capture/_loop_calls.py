"""Calls of modules that may go on from what they gave before, and what is kept of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn
from torch.autograd.graph import GradientEdge
from torch.utils import _pytree as pytree

from gradscope.capture._call import RandomState
from gradscope.capture._lineage import Value
from gradscope.capture._watch import Args, Kwargs, Mark, Received

#: a call's arguments or output, taken apart: its leaves, and how they hang together
Nest = pytree.TreeSpec


@dataclass(eq=False)
class Candidate:
    """A module that may be a loop's.

    Attributes:
        name: in the model.
        module: itself.
        bit: that marks what is made of its output.
        leaf: whether it is one of torch's own layers, of which two in a row are no loop.
        calls: those within the block.
        copies: of itself, as it was when it was first called again; None as long as it was not.
        solid: whether no module within it was called twice in its first call.
    """

    name: str
    module: nn.Module
    bit: int
    leaf: bool
    calls: list[LoopCall] = field(default_factory=list)
    copy: nn.Module | None = None
    solid: bool = True

    @property
    def loops(self) -> bool:
        """Whether it was called on something made of its own output."""
        return self.copy is not None


@dataclass(eq=False)
class LoopCall:
    """One call of a candidate.

    Attributes:
        of: the candidate.
        within: the watched call within which it was made.
        start: when it began, on the lineage's clock.
        grad: whether autograd was on.
        leaves: its arguments; tensors of floats as values.
        nest: how they hang together.
        came: the tensors of floats among them, kept until it is known whether they are needed.
        weights: what tells the weights of that time.
        random: from which it may have drawn.
        linked: whether it goes on from an earlier call of the candidate.
        end: when it ended.
        made: the tensors of floats that it gave, as values.
        places: where these lie among the leaves of what it gave.
        given: the tensors, kept as ``came``, and their places in autograd's graph.
        hushed: whether something within it ran without autograd though it itself ran with it.
        lowered: whether torch chose lower precision.
    """

    of: Candidate
    within: LoopCall | None
    start: int
    grad: bool
    leaves: list[object]
    nest: Nest
    came: list[tuple[Value, Tensor]]
    weights: tuple[Mark, ...]
    random: RandomState | None
    linked: bool = False
    end: int = 0
    made: list[Value] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    given: list[tuple[Value, Tensor, GradientEdge | None]] = field(default_factory=list)
    hushed: bool = False
    lowered: bool = False

    @property
    def inputs(self) -> list[Value]:
        """The values among its arguments, in their order."""
        return [leaf for leaf in self.leaves if isinstance(leaf, Value)]

    def inside(self, others: Sequence[Candidate]) -> bool:
        """Whether it was made within a call of one of these."""
        outer = self.within
        while outer is not None:
            if outer.of in others:
                return True
            outer = outer.within
        return False


@dataclass
class Kept:
    """What is kept of calls that loop.

    Attributes:
        tensors: what values held.
        received: the gradient that arrives at what was given and what came in.
        shared: constants that may change after the block, by the tensor that holds them.
        tail: what was made behind the last call, in shapes of what went in.
    """

    tensors: dict[Value, Tensor] = field(default_factory=dict)
    received: dict[Value, Received] = field(default_factory=dict)
    shared: dict[Value, Tensor] = field(default_factory=dict)
    tail: list[Value] = field(default_factory=list)


def taken_apart(nest: object) -> tuple[list[object], Nest]:
    """The leaves of a call's arguments or output."""
    return pytree.tree_flatten(nest)


def keeps_shape(came: Sequence[Value], given: Sequence[Tensor]) -> bool:
    """Whether a tensor comes out in the shape of one that went in."""
    shapes = {value.shape for value in came}
    return any(tensor.shape in shapes for tensor in given)


def arguments(args: Args, kwargs: Kwargs) -> tuple[list[object], Nest]:
    """The leaves of both together."""
    return pytree.tree_flatten((args, kwargs))
