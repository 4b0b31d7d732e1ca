"""Fixed points of the cell between its inputs."""

from __future__ import annotations

import torch
from pydantic import Field

from gradscope.components.registry import register
from gradscope.dynamics import fixed_points
from gradscope.dynamics.trace import Trace
from gradscope.probes._probe import Columns, Probe


@register("probe", "fixed_points")
class FixedPointsProbe(Probe):
    """s = F(x, s) under the mean input, found from states that the batch visits, with their
    stability.

    Columns: index (most visited first), visits (share of the starts that end there), residual,
    spectral_radius (of ds_t/ds_{t-1} there), time_constant (of the slowest mode, steps; negative
    where it grows), stable. No rows where no start converges.
    """

    starts: int = Field(64, ge=1, description="states of the trace to start from")

    def measure(self, trace: Trace) -> Columns:
        """One row for each fixed point."""
        states = trace.states.detach()[1:].flatten(0, 1)
        chosen = torch.linspace(0, len(states) - 1, min(self.starts, len(states))).long()
        cell = trace.cell
        tolerance = 1e-9 if states.dtype == torch.float64 else 1e-5
        found = fixed_points(cell, trace.inputs.mean((0, 1)), states[chosen], tolerance=tolerance)
        if not len(found.states):
            return {}
        radius = found.eigenvalues.abs()[:, 0]
        return {
            "index": list(range(len(radius))),
            "visits": (found.visits / len(chosen)).tolist(),
            "residual": found.residuals.tolist(),
            "spectral_radius": radius.tolist(),
            "time_constant": found.time_constants[:, 0].tolist(),
            "stable": found.stable.tolist(),
        }
