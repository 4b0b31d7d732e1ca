"""How non-normal the recurrent matrices and Jacobians are."""

from __future__ import annotations

from types import MappingProxyType

from pydantic import Field

from gradscope.dynamics import Trace, non_normality, step_jacobians
from gradscope.probes._norms import even_grid
from gradscope.probes._probe import Probe, register
from gradscope.results.columns import Columns, Rows


@register("non_normality")
class NonNormalityProbe(Probe):
    """Measures of non-normality of the recurrent matrices and of step Jacobians.

    Jacobians are those of the batch's first sequence. Columns: matrix (W of a gate, or J), t (the
    step, or -1), henrici, henrici_relative, spectral_radius, spectral_norm, numerical_radius,
    numerical_abscissa, kreiss (as gradscope.non_normality defines them; NaN if it is left out).
    """

    in_report = True
    scope_options = MappingProxyType({"kreiss": False})
    order = 66

    steps: int = Field(
        2,
        ge=1,
        description=("how many steps t, evenly spread over the sequence, have their J_t measured"),
    )
    kreiss: bool = Field(
        True,
        description=(
            "whether Kreiss' constant is found, which takes a minute for 256 units of "
            "the state; false: it is NaN"
        ),
    )

    def work(self, trace: Trace) -> float:
        """Some 300 decompositions a matrix, and 10,000 for Kreiss' constant."""
        state, matrices = trace.states.shape[-1], trace.cell.recurrent_matrices().values()
        sizes = [matrix.shape[-1] / state for matrix in matrices] + [1.0] * self.steps
        return sum(size**3 for size in sizes) * (10_000 if self.kreiss else 300)

    def measure(self, trace: Trace) -> Columns:
        """One row for each matrix."""
        rows = Rows()
        for gate, matrix in trace.cell.recurrent_matrices().items():
            rows.add(matrix=f"W_{gate}", t=-1, **vars(non_normality(matrix, kreiss=self.kreiss)))
        jacobians = step_jacobians(trace.first(1))
        for t in even_grid(trace.time - 1, self.steps):
            measures = non_normality(jacobians[t, 0], kreiss=self.kreiss)
            rows.add(matrix="J", t=t + 1, **vars(measures))
        return rows
