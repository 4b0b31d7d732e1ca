"""Recurrent weights that may not learn."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding


@register("frozen_weights")
class FrozenWeights(Check):
    """requires_grad is off for weight_hh, or for all parameters of a step."""

    remedies = ("unfreeze",)

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Look at the parameters of the attached modules."""
        recording = evidence.recording
        places = {module: recording.places[name] for name, module in recording.modules.items()}
        for module, place in places.items():
            named = dict(module.named_parameters())
            recurrent = {name: p for name, p in named.items() if "_hh" in name} or named
            frozen = [
                name for name, p in recurrent.items() if not p.requires_grad and not _is_mask(p)
            ]
            if frozen:
                yield self.finding(
                    place.recurrence,
                    f"{len(frozen)} of {len(recurrent)} recurrent weights do not learn: "
                    f"requires_grad is off ({', '.join(frozen[:3])})",
                    severity=0.6,
                    confidence=0.99,
                    evidence={"frozen": len(frozen)},
                )


def _is_mask(parameter: Tensor) -> bool:
    """Whether it is a pattern of zeros and ones, which is not meant to learn."""
    values = parameter.detach()
    return values.dim() > 1 and bool(((values == 0) | (values == 1)).all()) and bool(values.any())
