"""Norms of Jacobian products."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from gradscope.components.registry import register
from gradscope.dynamics import Norm, jacobian_products, step_jacobians
from gradscope.dynamics.trace import Trace
from gradscope.probes._probe import Columns, Probe, block_norms, grid, lag_grid, lag_products


@register("probe", "jacobian_norms")
class JacobianNorms(Probe):
    """ln ||ds_t/ds_k|| (block state) and ln ||dh_t/dh_k|| (block hidden), spectral and Frobenius.

    Pairs: t = time with lags from 0 to time, dense near 0; and every t >= k of an evenly spread
    grid. Columns: t, k, lag, sequence, block, log_spectral_norm, log_frobenius_norm (nats; -inf
    where exactly zero).
    """

    sequences: int = Field(1, ge=1, description="sequences of the batch to measure")
    grid: int = Field(13, ge=2, description="points of the (t, k) grid on each axis")
    lags: int = Field(32, ge=3, description="lags from the last step, dense near 0")

    def measure(self, trace: Trace) -> Columns:
        """One row for each pair, sequence and block."""
        trace = trace.first(self.sequences)
        points, lags, time = (
            grid(trace.time, self.grid),
            lag_grid(trace.time, self.lags),
            trace.time,
        )
        columns: Columns = {
            name: []
            for name in (
                "t",
                "k",
                "lag",
                "sequence",
                "block",
                "log_spectral_norm",
                "log_frobenius_norm",
            )
        }
        by_lag = lag_products(trace, lags)
        for index, lag in enumerate(lags):
            _extend(
                columns, time, time - lag, {key: values[index] for key, values in by_lag.items()}
            )
        known = {time - lag for lag in lags}
        pairs = [
            (t, k) for t in points for k in points if k <= t and not (t == time and k in known)
        ]
        for ts, k, products in jacobian_products(step_jacobians(trace), pairs):
            norms = block_norms(trace, products)
            for index, t in enumerate(ts):
                _extend(columns, t, k, {key: values[index] for key, values in norms.items()})
        return columns


def _extend(columns: Columns, t: int, k: int, norms: dict[tuple[str, Norm], Tensor]) -> None:
    for block in ("state", "hidden"):
        spectral, frobenius = norms[block, "spectral"].tolist(), norms[block, "frobenius"].tolist()
        count = len(spectral)
        for name, values in (
            ("t", [t] * count),
            ("k", [k] * count),
            ("lag", [t - k] * count),
            ("sequence", range(count)),
            ("block", [block] * count),
            ("log_spectral_norm", spectral),
            ("log_frobenius_norm", frobenius),
        ):
            columns[name] += values
