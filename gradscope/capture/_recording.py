"""Recording: what one recorded block left."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import nn

from gradscope.capture._gradients import GradientNorms
from gradscope.capture._place import Place
from gradscope.capture._resets import resets_of
from gradscope.cells import Cell, Stack
from gradscope.components import suggest
from gradscope.dynamics import Adjoints, Trace, adjoints
from gradscope.errors import GradscopeError


@dataclass(repr=False)
class Recording:
    """What one recorded block left.

    Attributes:
        train_step: number of the block among all that the scope went through, or the caller's own.
        traces: name of the recurrence to its ``Trace``; every function of ``gradscope.dynamics``
            takes one. Names are the module's, then the layer and direction as torch has them:
            ``encoder.lstm.l1_reverse``.
        places: recurrence to where it runs.
        modules: recurrence to the module that it is part of.
        notes: what the reader should know, such as a state that was cut off between two calls.
        carried: names of the traces that begin in a state which came, detached, from an earlier
            step.
        gradients: parameter to its gradient norms.
        updates: parameter to ||change|| / ||value|| of the optimiser's step within the block.
        nonfinite: recurrence to the first step whose state is not finite.
        unseen: what is watched and was not recorded, to why.
        found: loops that were found without being told, to what they are.
        update_skipped: whether a loss scaler left out the update, as a gradient was not finite.
    """

    train_step: int
    traces: dict[str, Trace] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    modules: dict[str, nn.Module] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    carried: set[str] = field(default_factory=set)
    gradients: dict[str, GradientNorms] = field(default_factory=dict)
    updates: dict[str, float] = field(default_factory=dict)
    nonfinite: dict[str, int] = field(default_factory=dict)
    unseen: dict[str, str] = field(default_factory=dict)
    found: dict[str, str] = field(default_factory=dict)
    update_skipped: bool = False

    def __repr__(self) -> str:
        parts = [f"Recording of train step {self.train_step}"]
        parts += [f"  {name}: {trace!r}" for name, trace in self.traces.items()]
        if self.gradients:
            parts.append(f"  gradients of {len(self.gradients)} parameters")
        parts += [
            f"  not finite: {name} from step {step} on" for name, step in self.nonfinite.items()
        ]
        parts += [f"  not seen: {name}: {why}" for name, why in self.unseen.items()]
        parts += [f"  note: {note}" for note in self.notes]
        return "\n".join(parts if len(parts) > 1 else [f"{parts[0]}: nothing yet"])

    def add(self, place: Place, trace: Trace, module: nn.Module, *, carried: bool) -> None:
        """Take in one recurrence."""
        name = str(place)
        self.traces[name], self.places[name], self.modules[name] = trace, place, module
        if carried:
            self.carried.add(name)
        if (resets := resets_of(trace)) is not None:
            times = int(resets.sum())
            self.notes.append(
                f"{name}: the state of a sequence was set anew {times} time{'s' * (times > 1)} (as "
                "by a mask at the end of an episode): no gradient passes there, and findings are "
                "of what lies between"
            )
        states = trace.states.detach()
        if bool(states.sum().isfinite()):
            return
        finite = states.isfinite().flatten(1).all(1)
        if not bool(finite.all()):
            self.nonfinite[name] = int((~finite).nonzero()[0])

    def trace(self, name: str) -> Trace:
        """The trace of one recurrence.

        Raises:
            GradscopeError: for a name that was not recorded; the message lists those that were.
        """
        if name not in self.traces:
            raise GradscopeError(
                f"nothing was recorded as {name!r}; {suggest(name, list(self.traces))}"
            )
        return self.traces[name]

    def stack(self, name: str) -> Trace:
        """All layers of a module as one recurrence, whose state is all layers' states.

        Its Jacobian is d(every layer)/d(every layer). For a unidirectional module without dropout
        between its layers, or sequences of several lengths.

        Args:
            name: of the module, as in ``model.named_modules()``.

        Raises:
            GradscopeError: if there is no such module, or it is no such recurrence.
        """
        layers = [self.traces[key] for key, place in self.places.items() if place.module == name]
        cells = [trace.cell for trace in layers if isinstance(trace.cell, Cell)]
        if not cells or not _stacked(layers):
            raise GradscopeError(
                f"{name!r} is not one recurrence of stacked layers (bidirectional, with dropout "
                "between layers, with sequences of several lengths, or unknown); its parts are "
                f"there: {', '.join(self.traces)}"
            )
        states = torch.cat([trace.states.detach() for trace in layers], dim=-1).requires_grad_()
        whole = Trace(Stack(cells), layers[0].inputs, states)
        immediate = [trace.immediate for trace in layers]
        values = [part.values().to(states.dtype) for part in immediate if part is not None]
        if len(values) < len(layers):
            return whole
        for below, above in enumerate(layers[1:]):
            # what came down from the layer above is a path within the stack
            by_input = adjoints(above).by_input
            assert by_input is not None
            from_above = by_input.values().to(states.dtype)
            cell = layers[below].cell
            part = cell.hidden(values[below])[1:]
            part -= from_above
            part[part.abs() <= 32 * torch.finfo(part.dtype).eps * from_above.abs()] = 0
        return whole.with_losses_of(Adjoints(torch.cat(values, dim=-1)))


def _stacked(layers: list[Trace]) -> bool:
    """Whether each layer reads what the one below puts out."""
    if any(trace.mask is not None for trace in layers):
        return False
    sizes = (above.cell.input_size == below.cell.hidden_size for below, above in pairwise(layers))
    return all(sizes) and all(
        torch.equal(above.inputs, below.cell.hidden(below.states[1:]))
        for below, above in pairwise(layers)
    )
