"""All singular values of long Jacobian products."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gradscope.components.registry import register
from gradscope.dynamics import singular_value_spectrum, step_jacobians
from gradscope.dynamics.trace import Trace
from gradscope.probes._probe import Columns, Probe


@register("probe", "singular_values")
class SingularValuesProbe(Probe):
    """ln sigma_i(J_{T:T-lag}): every singular value, the smallest as accurate as the largest.

    Of the batch's first sequence. Columns: lag, index (from 0), log_value (nats; -inf where exactly
    zero).
    """

    lags: list[Annotated[int, Field(ge=1)]] = Field(
        [1, 10, 50, 100, 200], description="those beyond T are left out"
    )

    def measure(self, trace: Trace) -> Columns:
        """One row for each lag and singular value."""
        jacobians, time = step_jacobians(trace.first(1)), trace.time
        columns: Columns = {"lag": [], "index": [], "log_value": []}
        for lag in sorted({lag for lag in self.lags if lag <= time}):
            values = singular_value_spectrum(jacobians, time, time - lag)[0].tolist()
            columns["lag"] += [lag] * len(values)
            columns["index"] += range(len(values))
            columns["log_value"] += values
        return columns
