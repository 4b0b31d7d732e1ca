"""How far back the gradient reaches."""

from __future__ import annotations

from pydantic import Field

from gradscope.dynamics import Trace
from gradscope.dynamics.horizon import memory_horizons
from gradscope.probes._norms import BLOCKS, horizon_columns, lag_grid, norms_by_lag
from gradscope.probes._probe import Probe, register
from gradscope.results.columns import Columns, Rows


@register("memory_horizon")
class MemoryHorizonProbe(Probe):
    """The lag at which ||ds_T/ds_k|| and ||dh_T/dh_k|| have fallen by e, and their growth rate.

    Norms are spectral. Columns: sequence, block (state for ds_T/ds_k, hidden for dh_T/dh_k),
    horizon (steps; inf if the norm does not fall), horizon_low and horizon_high (its 95% interval),
    kind (reached, extrapolated, no fall, finite support), censored (whether all that was seen of
    the horizon is that it lies beyond longest), longest (the largest lag, steps), law (the
    preferred law of decay: exponential, power, stretched or none), rate and rate_error (slope of a
    straight line through the log norms beyond the first quarter of the lags, and its standard
    error, nats per step), time (T), log_norm
    (ln ||J_{T:0}||, nats), growth_rate (log_norm / T, the largest finite-time exponent, nats per
    step). No rows for a single step.
    """

    by_default = True
    in_report = True
    order = 40

    sequences: int = Field(
        1, ge=1, description="how many sequences of the batch are measured, the first ones"
    )
    lags: int = Field(
        32,
        ge=3,
        description=(
            "how many lags T - k from the last step T the decay is fitted to, dense near 0"
        ),
    )

    def work(self, trace: Trace) -> float:
        """The norms of a product for each lag, by vectors."""
        return 1.0 * self.lags * min(self.sequences, trace.states.shape[1])

    def measure(self, trace: Trace) -> Columns:
        """One row for each sequence and block."""
        if trace.time < 2:
            return {}
        trace = trace.first(self.sequences)
        lags, time = lag_grid(trace.time, self.lags), trace.time
        by_lag, rows = norms_by_lag(trace, lags), Rows()
        for block in BLOCKS:
            table = by_lag[block, "spectral"].cpu().numpy()
            for sequence, horizon in enumerate(memory_horizons(lags, table)):
                log_norm = float(table[-1, sequence])
                rows.add(
                    sequence=sequence,
                    block=block,
                    **horizon_columns(horizon),
                    time=time,
                    log_norm=log_norm,
                    growth_rate=log_norm / time,
                )
        return rows
