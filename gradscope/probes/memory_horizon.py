"""How far back the gradient reaches."""

from __future__ import annotations

from pydantic import Field

from gradscope.components.registry import register
from gradscope.dynamics import memory_horizon
from gradscope.dynamics.trace import Trace
from gradscope.probes._probe import Columns, Probe, lag_grid, lag_products


@register("probe", "memory_horizon")
class MemoryHorizonProbe(Probe):
    """The lag at which ||ds_T/ds_k|| (block state) and ||dh_T/dh_k|| (block hidden) have fallen by
    e, and their growth rate.

    Spectral norms. Columns: sequence, block, horizon (steps; inf where the norm does not fall),
    kind (measured, extrapolated, infinite, finite support), law (the preferred law of decay:
    exponential, power, stretched or none), rate, rate_error (of a straight line through the log
    norms, nats per step), time (T), log_norm (ln ||J_{T:0}||, nats), growth_rate (log_norm / T, the
    largest finite-time exponent, nats per step).
    """

    sequences: int = Field(1, ge=1, description="sequences of the batch to measure")
    lags: int = Field(32, ge=3, description="lags from the last step, dense near 0")

    def measure(self, trace: Trace) -> Columns:
        """One row for each sequence and block."""
        if trace.time < 2:
            return {}
        trace = trace.first(self.sequences)
        lags, time = lag_grid(trace.time, self.lags), trace.time
        names = (
            "sequence",
            "block",
            "horizon",
            "kind",
            "law",
            "rate",
            "rate_error",
            "time",
            "log_norm",
            "growth_rate",
        )
        columns: Columns = {name: [] for name in names}
        found_norms = lag_products(trace, lags)
        for block in ("state", "hidden"):
            for sequence, series in enumerate(found_norms[block, "spectral"].T.cpu().numpy()):
                found = memory_horizon(lags, series)
                fit, last = (
                    (found.lag, found.kind, found.law, found.rate, found.rate_error),
                    float(series[-1]),
                )
                row = (sequence, block, *fit, time, last, last / time)
                for name, value in zip(columns, row, strict=True):
                    columns[name].append(value)
        return columns
