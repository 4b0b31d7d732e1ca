"""Through which part of the state, and through which gate, the gradient travels."""

from __future__ import annotations

import torch

from gradscope.components.registry import register
from gradscope.dynamics import gate_contributions, path_contributions
from gradscope.dynamics.trace import Trace
from gradscope.probes._probe import Columns, Probe


@register("probe", "path_contributions")
class PathContributionsProbe(Probe):
    """ln ||G_lag|| by path, from the part of s_t that the loss sees to the part of s_k that the
    weights made; and by gate.

    Columns: kind (state or gate), path (such as h→c; or the gate a gradient passes a step by, or
    direct), lag (for kind gate the number of steps from the end, T - t), log_norm (nats; for kind
    gate of the part of J_{t+1}^T a_{t+1}, over batch and units).
    """

    def measure(self, trace: Trace) -> Columns:
        """One row for each path and lag."""
        columns: Columns = {name: [] for name in ("kind", "path", "lag", "log_norm")}
        found = path_contributions(trace)
        for (begin, end), log_norms in found.log_norms.items():
            _extend(columns, "state", f"{begin}→{end}", found.lags, log_norms.tolist())
        for gate, parts in gate_contributions(trace).items():
            norms = (
                torch.linalg.vector_norm(parts.flatten(1), dim=1, dtype=torch.float64).log().flip(0)
            )
            _extend(columns, "gate", gate, list(range(1, trace.time + 1)), norms.tolist())
        return columns


def _extend(
    columns: Columns, kind: str, path: str, lags: list[int], log_norms: list[float]
) -> None:
    columns["kind"] += [kind] * len(lags)
    columns["path"] += [path] * len(lags)
    columns["lag"] += lags
    columns["log_norm"] += log_norms
