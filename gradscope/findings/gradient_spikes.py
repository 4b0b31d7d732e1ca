"""Now and then a gradient far beyond the others."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gradscope.findings._finding import Evidence, Finding, Found, register


@register("gradient_spikes")
class GradientSpikes(Finding):
    """Largest gradient norm over the median: above 20, of five recordings or more, where no clip
    tames it.
    """

    remedies = ("clip", "autoclip", "smaller_lr")

    ratio: float = Field(20.0, gt=1, description="of the largest to the median")

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """Over all recordings, of the norms that the optimiser saw where it was seen."""
        norms = sorted(b if b == b else a for a, b in evidence.history.values())
        if (
            len(norms) >= 5
            and (median := norms[len(norms) // 2]) > 0
            and norms[-1] / median > self.ratio
        ):
            yield self.found(
                "all parameters",
                f"gradients spike: the largest norm of {len(norms)} recordings is"
                f" {norms[-1] / median:.0f} times the median",
                severity=0.6,
                confidence=0.8,
                largest=norms[-1],
                median=median,
            )
