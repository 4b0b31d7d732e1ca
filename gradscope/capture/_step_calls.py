"""Calls of a module that takes one step each, and the chains that they form."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.autograd.graph import GradientEdge

from gradscope.capture._ancestry import Origin
from gradscope.capture._call import RandomState, addresses
from gradscope.capture._chains import chains_of, of_training
from gradscope.capture._place import Place
from gradscope.capture._step import side_by_side
from gradscope.capture._watch import Mark, Received


@dataclass(frozen=True, eq=False)
class Entering:
    """What comes into a call, looked at before it is made.

    Attributes:
        x: the input, ``(batch, ...)``.
        before: the state, ``(batch, state)``; None where none was given.
        came: its tensors, kept so that their identities stay unique.
        single: whether it was of one sequence without a batch axis.
        origin: where the state is from.
    """

    x: Tensor
    before: Tensor | None
    came: list[Tensor]
    single: bool
    origin: Origin


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

    @property
    def origin(self) -> Origin:
        """Where the state that came in is from."""
        return self.entering.origin

    @property
    def came_at(self) -> frozenset[int]:
        """Addresses of the state that came in."""
        return addresses(self.entering.came)

    @property
    def made_at(self) -> frozenset[int]:
        """Addresses of the state that it made."""
        return addresses(self.made)


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
    branched = "more than one call goes on from the same state"
    unbroken, said = chains_of(calls, there, place, branched=branched)
    if not any(call.trains for call in calls) and len(unbroken) > 1:
        notes.append(
            f"{place}: its calls were made without a gradient, so that what a model does to the "
            "state between two of them cannot be followed"
        )
    notes += said
    return unbroken
