"""Through which part of the state, and through which gate, the gradient travels."""

from __future__ import annotations

from gradscope.dynamics import Trace, gate_contributions, path_contributions
from gradscope.probes._probe import Probe, register
from gradscope.results.columns import Columns, Rows


@register("path_contributions")
class PathContributionsProbe(Probe):
    """ln ||G_lag|| by path through the state, and the adjoint by gate.

    A path leads from the part of s_t that the loss sees to the part of s_k that the weights made.
    Columns: kind (state or gate), path (such as h→c; for kind gate the gate through which a
    gradient passes a step, or direct), lag (for kind gate the number of steps from the end,
    T - t), log_norm (nats; for kind gate of its part of J_{t+1}^T a_{t+1}, over batch and units).
    """

    cost = "vectors"
    order = 110

    def measure(self, trace: Trace) -> Columns:
        """One row for each path and lag."""
        rows, paths = Rows(), path_contributions(trace)
        for (begin, end), log_norms in paths.log_norms.items():
            rows.add(
                kind="state", path=f"{begin}→{end}", lag=paths.lags, log_norm=log_norms.tolist()
            )
        lags = range(1, trace.time + 1)
        for gate, part in gate_contributions(trace).items():
            rows.add(kind="gate", path=gate, lag=lags, log_norm=part.log_norm().flip(0).tolist())
        return rows
