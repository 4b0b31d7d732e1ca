"""Fixed points of the cell between its inputs."""

from __future__ import annotations

import warnings

import torch
from pydantic import Field

from gradscope.dynamics import Trace, fixed_points
from gradscope.probes._probe import Probe, register
from gradscope.results.columns import Columns


@register("fixed_points")
class FixedPointsProbe(Probe):
    """Fixed points s = F(x, s) under the mean input, and their stability.

    The search starts from states that the batch visits. Columns: index (the most visited fixed
    point first), visits (share of the starts that end there), residual, spectral_radius (of
    ds_t/ds_{t-1} there), time_constant (of the slowest mode, steps; negative if it grows), stable.
    No rows if no start converges, or where what a model does between two steps is part of them.
    """

    order = 130

    starts: int = Field(
        64, ge=1, description="how many states of the measured trajectories the search starts from"
    )

    def measure(self, trace: Trace) -> Columns:
        """One row for each fixed point."""
        if trace.read.shape != trace.inputs.shape:  # a step that is known where it was taken alone
            return {}
        states = trace.states.detach()[1:].flatten(0, 1)
        chosen = torch.linspace(0, len(states) - 1, min(self.starts, len(states))).long()
        mean_input = trace.inputs.mean((0, 1))
        with warnings.catch_warnings():  # that there are none is said by an empty table
            warnings.simplefilter("ignore")
            points = fixed_points(trace.cell, mean_input, states[chosen])
        if not len(points.states):
            return {}
        radius = points.eigenvalues.abs()[:, 0]
        return {
            "index": range(len(radius)),
            "visits": (points.visits / len(chosen)).tolist(),
            "residual": points.residuals.tolist(),
            "spectral_radius": radius.tolist(),
            "time_constant": points.time_constants[:, 0].tolist(),
            "stable": points.stable.tolist(),
        }
