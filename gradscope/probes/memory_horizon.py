"""How far back the gradient reaches."""

from __future__ import annotations

import torch
from pydantic import Field

from gradscope.dynamics import jacobian_products, log_norm, memory_horizon, step_jacobians
from gradscope.probes._probe import Columns, Probe, lag_grid
from gradscope.registry import register
from gradscope.trace import Trace


@register("probe", "memory_horizon")
class MemoryHorizonProbe(Probe):
    """The lag at which ||ds_T/ds_k|| (block state) and ||dh_T/dh_k|| (block hidden) have fallen by e, and their growth rate.

    Spectral norms. Columns: sequence, block, horizon (steps; inf where the norm does not fall), kind (measured,
    extrapolated, infinite, finite support), rate, rate_error (of the exponential fit, nats per step), growth_rate
    (ln ||J_{T:0}|| / T, the largest finite-time exponent, nats per step).
    """

    sequences: int = Field(2, ge=1, description="sequences of the batch to measure")
    lags: int = Field(32, ge=3, description="lags from the last step, dense near 0")

    def measure(self, trace: Trace) -> Columns:
        """One row for each sequence and block."""
        if trace.time < 2:
            return {}
        trace = trace.first(self.sequences)
        lags, time = lag_grid(trace.time, self.lags), trace.time
        blocks = {"state": None, "hidden": trace.cell.hidden}
        norms: dict[str, list] = {block: [] for block in blocks}
        for _, _, products in jacobian_products(step_jacobians(trace), [(time, time - lag) for lag in lags]):
            for block, part in blocks.items():
                norms[block].append(log_norm(products, "spectral", part)[0])
        columns: Columns = {name: [] for name in ("sequence", "block", "horizon", "kind", "rate", "rate_error", "growth_rate")}
        for block, values in norms.items():
            for sequence, series in enumerate(torch.stack(values).T.cpu().numpy()):
                found = memory_horizon(lags, series)
                row = (sequence, block, found.lag, found.kind, found.rate, found.rate_error, float(series[-1]) / time)
                for name, value in zip(columns, row, strict=True):
                    columns[name].append(value)
        return columns
