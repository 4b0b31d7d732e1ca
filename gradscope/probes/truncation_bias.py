"""How truncated BPTT would change the gradient."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gradscope.dynamics import Trace, trained_gradient, truncation_bias
from gradscope.probes._probe import Probe, register
from gradscope.results.columns import Columns, Rows


@register("truncation_bias")
class TruncationBiasProbe(Probe):
    """The gradient G_K truncated to K steps against the full gradient G, at the same weights.

    Both are of the measured batch, whatever the training's own truncation; of a loop whose training
    cuts gradients off, by detach or no_grad, that one is measured too. Columns: kind (sliding,
    chunk or trained), tbptt_length (K; of a trained one the steps that it reaches), norm_ratio
    (||G_K|| / ||G||), cosine (of G_K with G), sign_agreement (share of the elements with the same
    sign).
    """

    cost = "vectors"
    order = 120

    kinds: list[Literal["sliding", "chunk"]] = Field(
        ["sliding", "chunk"],
        description=(
            "which truncated gradients are taken: sliding, every loss reaches back "
            "exactly K steps; chunk, the state is detached every K steps"
        ),
    )

    def measure(self, trace: Trace) -> Columns:
        """One row for each kind and length 1, 2, 4, ..., T, and for the training's own."""
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
        if (used := trained_gradient(trace)) is not None and used.seen < used.steps:
            rows.add(
                kind="trained",
                tbptt_length=[used.seen],
                norm_ratio=[used.norm_ratio],
                cosine=[used.cosine],
                sign_agreement=[used.sign_agreement],
            )
        return rows
