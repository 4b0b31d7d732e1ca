"""A batch that one sequence decides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from gradscope.capture import Place
from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding


class _Stretch(NamedTuple):
    place: Place
    log_norms: Tensor
    scored: Tensor


@register("one_sequence_rules")
class OneSequenceRules(Check):
    """One sequence's share of sum_t ||dL/ds_t||^2 is above 0.9.

    Of four sequences or more that have a loss.
    """

    figure = "adjoint_norms"
    probe = "adjoint_norms"
    remedies = ("clip", "agc", "larger_batch")

    share: float = Field(
        0.9,
        gt=0,
        lt=1,
        description=("share of one sequence in sum_t ||dL/ds_t||^2, 0 to 1, above which it rules"),
    )

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Look at the whole loss's adjoints.

        Stretches of one module are taken together: a step or two alone may well be one sequence's.
        """
        together: dict[tuple[str, int], list[_Stretch]] = {}
        for recurrence in evidence.in_time:
            if recurrence.total is not None and recurrence.scored is not None:
                key = recurrence.place.recurrence, recurrence.trace.batch
                stretch = _Stretch(
                    recurrence.place, recurrence.total.log_norms(), recurrence.scored
                )
                together.setdefault(key, []).append(stretch)
        for stretches in together.values():
            scored = torch.cat([stretch.scored for stretch in stretches])
            if int(scored.any(0).sum()) < 4:
                continue
            logs = torch.cat([stretch.log_norms for stretch in stretches])
            shares = torch.logsumexp(2 * logs, dim=0).softmax(0)
            largest = float(shares.max())
            if largest > self.share:
                yield self.finding(
                    stretches[0].place,
                    f"sequence {int(shares.argmax())} alone makes up {largest:.0%} of the squared "
                    f"gradient of all {len(shares)} sequences",
                    severity=0.5,
                    confidence=0.7,
                    evidence={"share": largest},
                )
