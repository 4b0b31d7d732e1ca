"""Calls of a module that takes one step each, and the chains that they form."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from gradscope.capture._place import Place
from gradscope.capture._step import side_by_side
from gradscope.capture._watch import Mark, Received
from gradscope.errors import GradscopeError


@dataclass
class StepCall:
    """One call of a module that takes one step.

    Attributes:
        x: its input, ``(batch, ...)``.
        before: the state that came in, ``(batch, state)``; None where none was given.
        after: the state that it made.
        single: whether it was of one sequence without a batch axis.
        came: the tensors that came in, kept so that their identities stay unique.
        made: the tensors that it made.
        came_marks: what told the former from any others at that time.
        made_marks: what told the latter.
        weights: what tells the weights of that time.
        received: the gradient that arrives at each tensor that it made.
    """

    x: Tensor
    before: Tensor | None
    after: Tensor
    single: bool
    came: list[Tensor]
    made: list[Tensor]
    came_marks: tuple[Mark, ...]
    made_marks: tuple[Mark, ...]
    weights: tuple[Mark, ...]
    received: list[Received]

    @property
    def linked(self) -> bool:
        """Whether the state that came in has a gradient to pass on."""
        return any(leaf.grad_fn is not None for leaf in self.came)

    @property
    def carried(self) -> bool:
        """Whether it begins in a state that came, detached, from somewhere."""
        return self.before is not None and not self.linked and bool(self.before.ne(0).any())

    @property
    def by_state(self) -> Tensor:
        """The gradient that arrived at the state that it made, ``(batch, state)``."""
        gradients = [r.or_zero(leaf) for r, leaf in zip(self.received, self.made, strict=True)]
        return side_by_side([g.unsqueeze(0) if self.single else g for g in gradients]).detach()

    def follows(self, other: StepCall) -> bool:
        """Whether the state that came in is the very one that another call made."""
        same = bool(self.came_marks) and self.came_marks == other.made_marks
        return same and self.x.shape == other.x.shape

    def shares_storage(self, other: StepCall) -> bool:
        """Whether the state that came in lies where another call's does: it was detached."""
        return bool(_addresses(self.came) & _addresses(other.made))


def _addresses(tensors: list[Tensor]) -> set[int]:
    return {tensor.data_ptr() for tensor in tensors}


def chains(calls: list[StepCall], place: Place, notes: list[str]) -> list[list[StepCall]]:
    """Unbroken chains, each call taking the state that the one before made.

    Args:
        calls: in the order in which they were made.
        place: of the module, for messages.
        notes: gains why a chain ended.

    Raises:
        GradscopeError: if the weights changed on the way, or a state was changed in place.
    """
    if any(call.weights != calls[0].weights for call in calls):
        raise GradscopeError(
            f"the weights of '{place}' changed within the recorded block: record one update at a "
            "time, its optimiser step after the last call"
        )
    unbroken: list[list[StepCall]] = []
    changed = detached = 0
    for call in calls:
        chain = next((chain for chain in unbroken if call.follows(chain[-1])), None)
        if chain is not None:
            chain.append(call)
            continue
        if unbroken and call.came:
            _check_in_place(call, unbroken, place)
            needs_grad = any(leaf.requires_grad for leaf in call.made)
            if needs_grad and call.linked:
                changed += 1
            elif any(call.shares_storage(chain[-1]) for chain in unbroken):
                detached += 1
        unbroken.append([call])
    if changed:
        notes.append(
            f"{place}: {_times(changed)} the state that came in was not the one that had gone out "
            "but made of it: those steps stand apart, and how a gradient goes from one to the next "
            "is not seen. Put the change into a module whose call is the whole step, and name it "
            "in steps="
        )
    if detached:
        notes.append(
            f"{place}: the state was detached {_times(detached)}; a gradient runs within each "
            "stretch only"
        )
    return unbroken


def _check_in_place(call: StepCall, unbroken: list[list[StepCall]], place: Place) -> None:
    came = [(mark.identity, mark.version) for mark in call.came_marks]
    for chain in unbroken:
        made = [(mark.identity, mark.version) for mark in chain[-1].made_marks]
        same_tensors = [identity for identity, _ in made] == [identity for identity, _ in came]
        if same_tensors and made != came:
            raise GradscopeError(
                f"the state of '{place}' was changed in place between two calls; make a new "
                "tensor of it (such as h = h * mask) or let the step do it, so that it can be seen"
            )


def _times(count: int) -> str:
    return f"{count} time{'s' * (count > 1)}"
