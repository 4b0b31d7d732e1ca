"""The reverse direction read after one step."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from gradscope.findings._finding import Evidence, Finding, Found, register


@register("reverse_read_early")
class ReverseReadEarly(Finding):
    """Of a bidirectional module only out[-1] is used: there the reverse direction has read one
    input, and all others are lost on it.
    """

    figure = "adjoint_norms"
    probe = "adjoint_norms"
    remedies = ("read_both_ends",)

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """By where the reverse direction's immediate gradient is."""
        for name, trace in evidence.in_time.items():
            heard = evidence.heard(name)
            if not evidence.layer(name).endswith("_reverse") or heard is None or trace.time < 4:
                continue
            lengths = evidence.lengths(name)
            last = torch.where(
                heard.any(0),
                (heard * torch.arange(len(heard), device=heard.device)[:, None]).amax(0),
                0,
            ).cpu()
            steps = last - (trace.time - lengths)
            if bool((steps[heard.any(0).cpu()] <= 1).all()) and bool(heard.any()):
                yield self.found(
                    name,
                    f"the loss hears the reverse direction after one of its {trace.time} steps"
                    " only: out[-1] is its beginning, not its end",
                    severity=0.7,
                    confidence=0.95,
                    steps=trace.time,
                )
