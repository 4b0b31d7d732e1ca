"""Gains of Jacobians to the last layer, and how much of them is the identity."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from pydantic import Field

from gradscope.dynamics import DepthGain, Trace, depth_gain
from gradscope.probes._norms import lag_grid
from gradscope.probes._probe import Cost, Probe, register
from gradscope.results.columns import Columns, Rows


@register("depth_gain")
class DepthGainProbe(Probe):
    """ln of the gain of dx_L/dx_l, and of each layer's own Jacobian, with the identity's share.

    Made for depth as time; of a recurrence the layers are its steps. By random vectors, so that no
    Jacobian is formed. Columns: kind (to_last for d x_L / d x_l, each for d x_l / d x_{l-1}), layer
    (l), sequence, log_gain (ln(||J||_F / sqrt(d)), nats; -inf where exactly zero),
    log_gain_error (its standard error), identity_share (tr(J)^2 / (d ||J||_F^2), from 0 to 1: how
    much of J is the skip path's identity), identity_share_error, log_rest (ln(||R||_F / sqrt(d)) of
    what is not the identity, nats). No rows for a recurrence in time with along_depth.
    """

    cost: ClassVar[Cost] = "vectors"
    in_report = True
    scope_options: ClassVar[Mapping[str, object]] = MappingProxyType({"along_depth": True})
    order = 45

    sequences: int = Field(
        4, ge=1, description="how many sequences of the batch are measured, the first ones"
    )
    probes: int = Field(
        16,
        ge=2,
        description="random vectors that are taken back; errors fall with their root",
    )
    layers: int = Field(
        64, ge=3, description="how many layers l are taken, dense near the last; of more, some"
    )
    along_depth: bool = Field(
        False,
        description=(
            "true: only where the steps are layers; false: also of a recurrence whose steps are "
            "steps of time"
        ),
    )

    def measure(self, trace: Trace) -> Columns:
        """One row for each kind, layer and sequence."""
        if self.along_depth and not trace.cell.along_depth:
            return {}
        if trace.cell.along_depth and getattr(trace.cell, "stochastic", False):
            return {}
        trace, rows = trace.first(self.sequences), Rows()
        chosen = sorted({trace.time - lag for lag in lag_grid(trace.time, self.layers)})
        _add(rows, depth_gain(trace, probes=self.probes), "to_last", chosen, 0)
        each = [layer for layer in chosen if layer]
        _add(rows, depth_gain(trace, probes=self.probes, each=True), "each", each, 1)
        return rows


def _add(rows: Rows, gain: DepthGain, kind: str, layers: list[int], first: int) -> None:
    for layer in layers:
        at = layer - first
        rows.add(
            kind=kind,
            layer=layer,
            sequence=range(gain.log_gain.shape[1]),
            log_gain=gain.log_gain[at].tolist(),
            log_gain_error=gain.log_gain_error[at].tolist(),
            identity_share=gain.identity_share[at].tolist(),
            identity_share_error=gain.identity_share_error[at].tolist(),
            log_rest=gain.log_rest[at].tolist(),
        )
