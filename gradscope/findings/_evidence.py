"""Evidence: what checks look at."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

from torch import nn

from gradscope.capture import Place, Recording
from gradscope.dynamics import Trace
from gradscope.findings._recurrence import Recurrence


class ClippedNorm(NamedTuple):
    """The gradient's norm over all parameters, before and after the clip (NaN without a step)."""

    before: float
    after: float


class Evidence:
    """What was recorded of a model.

    Args:
        recording: the last one.
        history: over all recordings: train_step to the gradient's norm.
        model: that was recorded.

    Attributes:
        recurrences: those whose states and gradients are finite.
    """

    def __init__(self, recording: Recording, history: Mapping[int, ClippedNorm], model: nn.Module):
        self.recording, self.history, self.model = recording, history, model
        self.recurrences = [
            self._recurrence(name, trace)
            for name, trace in recording.traces.items()
            if name not in recording.nonfinite and _finite(trace)
        ]

    def _recurrence(self, name: str, trace: Trace) -> Recurrence:
        place, module = self.recording.places[name], self.recording.modules[name]
        parameters = _parameters(self.model, module, place)
        gradients, updates = self.recording.gradients, self.recording.updates
        return Recurrence(
            place,
            trace,
            module,
            carried=name in self.recording.carried,
            gradients={key: gradients[key] for key in parameters if key in gradients},
            updates={
                key: updates[key] for key in parameters if key in updates and key in gradients
            },
        )

    @cached_property
    def in_time(self) -> list[Recurrence]:
        """The recurrences whose steps are steps of time, not layers."""
        return [recurrence for recurrence in self.recurrences if not recurrence.place.along_depth]

    def at(self, place: Place | None) -> Recurrence | None:
        """The recurrence at a place; None where there is none."""
        return next((other for other in self.recurrences if other.place == place), None)

    def stretches(self, recurrence: Recurrence) -> list[Recurrence]:
        """All stretches of the same recurrence, itself among them."""
        name = recurrence.place.recurrence
        return [other for other in self.recurrences if other.place.recurrence == name]

    def detached(self, recurrence: Recurrence) -> bool:
        """Whether it was recorded as stretches of a step or two, each begun where another ended."""
        stretches = self.stretches(recurrence)
        carried = sum(stretch.carried for stretch in stretches)
        short = all(stretch.time <= 2 for stretch in stretches)
        return len(stretches) >= 3 and short and carried >= len(stretches) - 1


def _finite(trace: Trace) -> bool:
    return trace.immediate is None or bool(trace.immediate.mantissa.sum().isfinite())


def _parameters(model: nn.Module, module: nn.Module, place: Place) -> list[str]:
    """Names in the model of the parameters that belong to one layer and direction of a module."""
    within = {id(parameter) for parameter in module.parameters()}
    ending = f"_{place.suffix}" if place.suffix else ""
    return [
        name
        for name, parameter in model.named_parameters()
        if id(parameter) in within and name.endswith(ending)
    ]
