"""Norms of Jacobian products."""

from __future__ import annotations

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from gradscope.dynamics import Trace, jacobian_products, step_jacobians
from gradscope.probes._norms import BLOCKS, Key, block_norms, even_grid, lag_grid, norms_by_lag
from gradscope.probes._probe import Probe, register
from gradscope.results.columns import Columns, Rows


@register("jacobian_norms")
class JacobianNorms(Probe):
    """ln ||ds_t/ds_k|| (block state) and ln ||dh_t/dh_k|| (block hidden), spectral and Frobenius.

    The pairs (t, k) are those of the last step, t = time, with lags from 0 to time, dense near 0;
    and all those with t >= k on an evenly spread grid. Columns: t, k, lag, sequence, block,
    log_spectral_norm, log_frobenius_norm (nats; -inf where exactly zero).
    """

    by_default = True
    in_report = True
    order = 30

    sequences: int = Field(
        1, ge=1, description="how many sequences of the batch are measured, the first ones"
    )
    grid: int = Field(
        13,
        ge=2,
        description=(
            "points on each axis of the evenly spread grid of steps (t, k); work "
            "grows with their square"
        ),
    )
    lags: int = Field(
        32, ge=3, description="how many lags T - k from the last step T are taken, dense near 0"
    )

    def work(self, trace: Trace) -> float:
        """A product a step, and the norms of every pair."""
        pairs = self.grid * (self.grid + 1) / 2 + self.lags
        return (trace.time + 2 * pairs) * min(self.sequences, trace.states.shape[1])

    def measure(self, trace: Trace) -> Columns:
        """One row for each pair, sequence and block."""
        trace = trace.first(self.sequences)
        points, time = even_grid(trace.time, self.grid), trace.time
        lags = lag_grid(time, self.lags)
        rows = Rows()
        by_lag = norms_by_lag(trace, lags)
        for index, lag in enumerate(lags):
            _add(rows, time, time - lag, {key: values[index] for key, values in by_lag.items()})
        known = {(time, time - lag) for lag in lags}
        pairs = [(t, k) for t in points for k in points if k <= t and (t, k) not in known]
        for ts, k, products in jacobian_products(step_jacobians(trace), pairs):
            norms = block_norms(trace, products)
            for index, t in enumerate(ts):
                _add(rows, t, k, {key: values[index] for key, values in norms.items()})
        return rows


def _add(rows: Rows, t: int, k: int, norms: dict[Key, Float[Tensor, " batch"]]) -> None:
    for block in BLOCKS:
        spectral, frobenius = norms[block, "spectral"], norms[block, "frobenius"]
        rows.add(
            t=t,
            k=k,
            lag=t - k,
            sequence=range(len(spectral)),
            block=block,
            log_spectral_norm=spectral.tolist(),
            log_frobenius_norm=frobenius.tolist(),
        )
