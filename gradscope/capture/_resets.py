"""Where the state of a recurrence is set anew, as at the end of an episode or of a document."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor

from gradscope.dynamics import Trace


@runtime_checkable
class SetsAnew(Protocol):
    """A step whose input may set the state anew."""

    def resets(self, inputs: Float[Tensor, "time batch input"]) -> Bool[Tensor, "time batch"]:
        """Before which steps of which sequences it does."""
        ...


def resets_of(trace: Trace) -> Bool[Tensor, "time batch"] | None:
    """Before which steps of which sequences the state was set anew; None where it never was."""
    cell = trace.cell
    if not isinstance(cell, SetsAnew):
        return None
    resets = trace.memo("resets", lambda: cell.resets(trace.inputs))
    return resets if bool(resets.any()) else None
