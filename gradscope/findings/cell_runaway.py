"""A cell that fills up."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gradscope.findings._finding import Evidence, Finding, Found, laplace, register


@register("cell_runaway")
class CellRunaway(Finding):
    """median |c_T| > 10, and still growing: tanh(c) is flat there, so the output no longer hears
    the cell nor the loss sends to it.
    """

    figure = "gates"
    probe = "gates"
    remedies = ("smaller_forget_bias", "scale_inputs", "layer_norm")

    level: float = Field(10.0, gt=0, description="size of c from which on it is runaway")

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """Of states with a part c."""
        for name, trace in evidence.in_time.items():
            if "c" not in trace.cell.blocks or trace.time < 8:
                continue
            c = trace.states.detach()[:, :, trace.cell.blocks["c"]].abs().double()
            last, half = c[-1].median(), c[trace.time // 2].median()
            if float(last) > self.level and float(last) > 1.2 * float(half):
                yield self.found(
                    name,
                    f"its cell runs away: half of |c| above {float(last):.1f} at the end,"
                    f" {float(half):.1f} halfway; tanh(c) is flat there",
                    severity=0.7,
                    confidence=laplace((c[-1].median(-1).values > self.level).cpu()),
                    median=float(last),
                    halfway=float(half),
                )
