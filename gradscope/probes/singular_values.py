"""All singular values of Jacobian products, also of long ones."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gradscope.dynamics import Trace, singular_value_spectrum, step_jacobians
from gradscope.probes._probe import Probe, register
from gradscope.results.columns import Columns, Rows


@register("singular_values")
class SingularValuesProbe(Probe):
    """ln sigma_i(J_{T:T-lag}): every singular value, the smallest as accurate as the largest.

    The products are those of the batch's first sequence. Columns: lag, index (from 0), log_value
    (nats; -inf where exactly zero). No rows if every lag is longer than the sequence.
    """

    in_report = True
    order = 68

    lags: list[Annotated[int, Field(ge=1)]] = Field(
        [1, 10, 50, 100, 200],
        description=(
            "lags, in steps, at which the singular values of J_{T:T-lag} are taken; "
            "those beyond T are left out"
        ),
    )

    def work(self, trace: Trace) -> float:
        """Some 20 decompositions for each factor of each product."""
        return 20.0 * sum(lag for lag in set(self.lags) if lag <= trace.time)

    def measure(self, trace: Trace) -> Columns:
        """One row for each lag and singular value."""
        rows, jacobians, time = Rows(), step_jacobians(trace.first(1)), trace.time
        for lag in sorted({lag for lag in self.lags if lag <= time}):
            values = singular_value_spectrum(jacobians, time, time - lag)[0].tolist()
            rows.add(lag=lag, index=range(len(values)), log_value=values)
        return rows
