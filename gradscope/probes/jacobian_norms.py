"""Norms of Jacobian products."""

from __future__ import annotations

from pydantic import Field

from gradscope.dynamics import jacobian_products, log_norm, step_jacobians
from gradscope.probes._probe import Columns, Probe, grid, lag_grid
from gradscope.registry import register
from gradscope.trace import Trace


@register("probe", "jacobian_norms")
class JacobianNorms(Probe):
    """ln ||ds_t/ds_k|| (block state) and ln ||dh_t/dh_k|| (block hidden), spectral and Frobenius.

    Pairs: t = time with lags from 0 to time, dense near 0; and every t >= k of an evenly spread grid. Columns: t, k, lag,
    sequence, block, log_spectral_norm, log_frobenius_norm (nats; -inf where exactly zero).
    """

    sequences: int = Field(2, ge=1, description="sequences of the batch to measure")
    grid: int = Field(13, ge=2, description="points of the (t, k) grid on each axis")
    lags: int = Field(32, ge=3, description="lags from the last step, dense near 0")

    def measure(self, trace: Trace) -> Columns:
        """One row for each pair, sequence and block."""
        trace = trace.first(self.sequences)
        points, time = grid(trace.time, self.grid), trace.time
        pairs = {(t, k) for t in points for k in points if k <= t} | {(time, time - lag) for lag in lag_grid(time, self.lags)}
        columns: Columns = {name: [] for name in
                            ("t", "k", "lag", "sequence", "block", "log_spectral_norm", "log_frobenius_norm")}
        for ts, k, products in jacobian_products(step_jacobians(trace), sorted(pairs)):
            for block, part in (("state", None), ("hidden", trace.cell.hidden)):
                spectral = log_norm(products, "spectral", part).tolist()
                frobenius = log_norm(products, "frobenius", part).tolist()
                for t, by_spectral, by_frobenius in zip(ts, spectral, frobenius, strict=True):
                    count = len(by_spectral)
                    columns["t"] += [t] * count
                    columns["k"] += [k] * count
                    columns["lag"] += [t - k] * count
                    columns["sequence"] += range(count)
                    columns["block"] += [block] * count
                    columns["log_spectral_norm"] += by_spectral
                    columns["log_frobenius_norm"] += by_frobenius
        return columns
