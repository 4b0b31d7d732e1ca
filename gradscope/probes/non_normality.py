"""How non-normal the recurrent matrices and Jacobians are."""

from __future__ import annotations

import torch
from pydantic import Field

from gradscope.components.registry import register
from gradscope.dynamics import non_normality, step_jacobians
from gradscope.dynamics.trace import Trace
from gradscope.probes._probe import Columns, Probe, grid


@register("probe", "non_normality")
class NonNormalityProbe(Probe):
    """Henrici's departure, numerical radius and abscissa, Kreiss' bound: of the recurrent matrices
    and of step Jacobians.

    Of the batch's first sequence. Columns: matrix (W of a gate, or J), t (the step, or -1),
    henrici, henrici_relative, spectral_radius, spectral_norm, numerical_radius, numerical_abscissa,
    kreiss (as gradscope.non_normality has them).
    """

    steps: int = Field(2, ge=1, description="steps t, evenly spread, at which J_t is taken")

    def measure(self, trace: Trace) -> Columns:
        """One row for each matrix."""
        matrices: list[tuple[str, int, torch.Tensor]] = [
            (f"W_{gate}", -1, matrix) for gate, matrix in trace.cell.recurrent_matrices().items()
        ]
        jacobians = step_jacobians(trace.first(1))
        matrices += [("J", t + 1, jacobians[t, 0]) for t in grid(trace.time - 1, self.steps)]
        columns: Columns = {
            "matrix": [name for name, _, _ in matrices],
            "t": [t for _, t, _ in matrices],
        }
        for _, _, matrix in matrices:
            for name, value in vars(non_normality(matrix)).items():
                columns.setdefault(name, []).append(value)
        return columns
