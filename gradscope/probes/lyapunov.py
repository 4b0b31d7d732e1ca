"""Lyapunov exponents along the training's own sequences."""

from __future__ import annotations

from pydantic import Field

from gradscope.dynamics import Trace, adjoint_lyapunov_spectrum, lyapunov_spectrum
from gradscope.probes._probe import Probe, register
from gradscope.results.columns import Columns, Rows


@register("lyapunov")
class Lyapunov(Probe):
    """Finite-time Lyapunov exponents lambda_i of the cell, of the tangent and of the adjoint.

    They are estimates over the T steps of each sequence; no step is left out. Standard errors are
    over blocks and sequences. Columns: index (from 0), exponent, standard_error, adjoint_exponent
    (nats per step; -inf if the product of Jacobians is singular), kaplan_yorke (the Kaplan-Yorke
    dimension), entropy_rate (sum of the positive exponents). No rows for a single step.
    """

    in_report = True
    order = 60

    sequences: int = Field(
        2, ge=1, description="how many sequences of the batch are measured, the first ones"
    )
    exponents: int | None = Field(
        None,
        ge=1,
        description=(
            "how many exponents are estimated, the largest first; null: as many as "
            "the state has units"
        ),
    )
    blocks: int = Field(
        5,
        ge=1,
        description=(
            "stretches that a trajectory is cut into, whose spread gives the standard error"
        ),
    )

    def work(self, trace: Trace) -> float:
        """A decomposition a step and a product besides, forward and backward."""
        state, batch = trace.states.shape[-1], trace.states.shape[1]
        part = min(self.exponents or state, state) / state
        return 6 * trace.time * min(self.sequences, batch) * part

    def measure(self, trace: Trace) -> Columns:
        """One row for each exponent."""
        if trace.time < 2:
            return {}
        trace = trace.first(self.sequences)
        k = min(self.exponents or trace.states.shape[-1], trace.states.shape[-1])
        tangent = lyapunov_spectrum(trace, k=k, blocks=self.blocks)
        adjoint = adjoint_lyapunov_spectrum(trace, k=k, blocks=self.blocks)
        rows = Rows()
        rows.add(
            index=range(k),
            exponent=tangent.exponents.tolist(),
            standard_error=tangent.standard_errors.tolist(),
            adjoint_exponent=adjoint.exponents.tolist(),
            kaplan_yorke=tangent.kaplan_yorke_dimension,
            entropy_rate=tangent.entropy_rate,
        )
        return rows
