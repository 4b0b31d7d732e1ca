"""What truncated BPTT would make of the gradient."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gradscope.components.registry import register
from gradscope.dynamics import truncation_bias
from gradscope.dynamics.trace import Trace
from gradscope.probes._probe import Columns, Probe


@register("probe", "truncation_bias")
class TruncationBiasProbe(Probe):
    """||G_K|| / ||G|| and the cosine of G_K with G: the truncated against the full gradient at the
    same weights.

    Columns: kind (sliding or chunk), tbptt_length (K), norm_ratio, cosine, sign_agreement (share of
    the elements with the same sign). Of the measured batch, whatever the training's own truncation.
    """

    kinds: list[Literal["sliding", "chunk"]] = Field(
        ["sliding", "chunk"], description="of truncation"
    )

    def measure(self, trace: Trace) -> Columns:
        """One row for each kind and length 1, 2, 4, ..., T."""
        columns: Columns = {
            name: [] for name in ("kind", "tbptt_length", "norm_ratio", "cosine", "sign_agreement")
        }
        for kind in self.kinds:
            found = truncation_bias(trace, kind=kind)
            columns["kind"] += [kind] * len(found.lengths)
            columns["tbptt_length"] += found.lengths
            columns["norm_ratio"] += found.norm_ratios.tolist()
            columns["cosine"] += found.cosines.tolist()
            columns["sign_agreement"] += found.sign_agreement.tolist()
        return columns
