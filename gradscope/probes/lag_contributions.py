"""How far back each part of the gradient reaches."""

from __future__ import annotations

from gradscope.components.registry import register
from gradscope.dynamics import lag_contributions
from gradscope.dynamics.trace import Trace
from gradscope.probes._probe import Columns, Probe


@register("probe", "lag_contributions")
class LagContributionsProbe(Probe):
    """ln ||G_lag||: the gradient of the loss with respect to the cell's weights, split by lag.

    Columns: lag, log_norm (nats; over all of the cell's parameters together), cosine (of G_lag with
    the whole gradient), share (cumulative: <G_0 + ... + G_lag, G> / ||G||^2). Of the whole measured
    batch, without truncation.
    """

    def measure(self, trace: Trace) -> Columns:
        """One row for each lag."""
        found = lag_contributions(trace)
        return {
            "lag": found.lags,
            "log_norm": found.log_norms.tolist(),
            "cosine": found.cosines.tolist(),
            "share": found.shares.tolist(),
        }
