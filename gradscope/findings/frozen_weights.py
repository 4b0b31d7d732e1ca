"""Recurrent weights that may not learn."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.findings._finding import Evidence, Finding, Found, register


@register("frozen_weights")
class FrozenWeights(Finding):
    """requires_grad = False on weight_hh, or on all parameters of a step."""

    remedies = ("unfreeze",)

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """Of the attached modules."""
        for name, module in {id(m): (n, m) for n, m in evidence.modules.items()}.values():
            named = dict(module.named_parameters())
            recurrent = {n: p for n, p in named.items() if "_hh" in n} or named
            frozen = [n for n, p in recurrent.items() if not p.requires_grad]
            if frozen:
                yield self.found(
                    name.split(" ")[0],
                    f"{len(frozen)} of {len(recurrent)} recurrent weights do not learn:"
                    f" requires_grad is off ({', '.join(frozen[:3])})",
                    severity=0.6,
                    confidence=0.99,
                    frozen=len(frozen),
                )
