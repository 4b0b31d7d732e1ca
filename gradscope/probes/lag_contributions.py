"""How far back each part of the gradient reaches."""

from __future__ import annotations

from gradscope.dynamics import Trace, lag_contributions
from gradscope.probes._probe import Probe, register
from gradscope.results.columns import Columns


@register("lag_contributions")
class LagContributionsProbe(Probe):
    """ln ||G_lag||: the gradient G of the loss by the cell's weights, split by lag.

    It is that of the whole measured batch, without truncation. Columns: lag, log_norm (nats; over
    all of the cell's parameters together), cosine (of G_lag with G), share (cumulative:
    <G_0 + ... + G_lag, G> / ||G||^2).
    """

    cost = "vectors"
    in_report = True
    order = 62

    def measure(self, trace: Trace) -> Columns:
        """One row for each lag."""
        parts = lag_contributions(trace)
        return {
            "lag": parts.lags,
            "log_norm": parts.log_norms.tolist(),
            "cosine": parts.cosines.tolist(),
            "share": parts.shares.tolist(),
        }
