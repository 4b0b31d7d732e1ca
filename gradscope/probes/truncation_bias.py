"""What truncated BPTT would make of the gradient."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gradscope.dynamics import Trace, truncation_bias
from gradscope.probes._probe import Probe, register
from gradscope.results.columns import Columns, Rows


@register("truncation_bias")
class TruncationBiasProbe(Probe):
    """||G_K|| / ||G|| and the cosine of G_K with G: the truncated against the full gradient at the
    same weights.

    Columns: kind (sliding or chunk), tbptt_length (K), norm_ratio, cosine, sign_agreement (share of
    the elements with the same sign). Of the measured batch, whatever the training's own truncation.
    """

    cost = "vectors"
    order = 120

    kinds: list[Literal["sliding", "chunk"]] = Field(
        ["sliding", "chunk"], description="of truncation"
    )

    def measure(self, trace: Trace) -> Columns:
        """One row for each kind and length 1, 2, 4, ..., T."""
        rows = Rows()
        for kind in self.kinds:
            bias = truncation_bias(trace, kind=kind)
            rows.add(
                kind=kind,
                tbptt_length=bias.lengths,
                norm_ratio=bias.norm_ratios.tolist(),
                cosine=bias.cosines.tolist(),
                sign_agreement=bias.sign_agreement.tolist(),
            )
        return rows
