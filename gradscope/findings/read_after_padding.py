"""An answer read behind padding."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gradscope.cells._held import Held
from gradscope.findings._finding import Evidence, Finding, Found, laplace, register


@register("read_after_padding")
class ReadAfterPadding(Finding):
    """Inputs that repeat one vector for the last steps of many sequences, while only the last step
    is scored.

    Between the last real input and the loss lie steps that only blur the state, and lengthen the
    gradient's way.
    """

    figure = "input_gradients"
    probe = "input_gradients"
    remedies = ("pack_sequences",)

    steps: int = Field(3, ge=1, description="of padding that a sequence must have")
    share: float = Field(0.3, gt=0, le=1, description="of sequences that have so many")

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """Of sequences of one length, as far as the model was told."""
        for name, trace in evidence.in_time.items():
            heard = evidence.heard(name)
            if (
                heard is None
                or not evidence.bottom(name)
                or trace.time < 2 * self.steps
                or isinstance(trace.cell, Held)
            ):
                continue
            if (
                int(heard.any(1).sum()) > 1
                or not bool(heard[-1].any())
                or evidence.layer(name).endswith("_reverse")
            ):
                continue
            same = (trace.inputs[1:] == trace.inputs[-1]).all(-1).flip(0).int().cumprod(0).sum(0)
            tails = (same >= self.steps) & (same < trace.time - 1)
            if float(tails.double().mean()) >= self.share:
                median = int(same[tails].median())
                yield self.found(
                    name,
                    f"{int(tails.sum())} of {len(tails)} sequences end in a constant input (median"
                    f" {median} steps) and are read at the last step: padding lies between the last"
                    " input and the loss",
                    severity=0.55,
                    confidence=laplace(tails.cpu()),
                    steps=median,
                )
