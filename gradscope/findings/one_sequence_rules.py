"""A batch that one sequence decides."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from pydantic import Field
from torch import Tensor

from gradscope.dynamics.trace import recurrence
from gradscope.findings._finding import Evidence, Finding, Found, register


@register("one_sequence_rules")
class OneSequenceRules(Finding):
    """Share of one sequence in sum_t ||dL/ds_t||^2: above 0.9, of four or more that have a loss."""

    figure = "adjoint_norms"
    probe = "adjoint_norms"
    remedies = ("clip", "agc", "larger_batch")

    share: float = Field(0.9, gt=0, lt=1, description="of the squared norm")

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """Of the whole loss's adjoints."""
        stretches: dict[tuple[str, int], list[tuple[str, Tensor, Tensor]]] = {}
        for name, trace in evidence.in_time.items():
            total, heard = evidence.adjoint(name), evidence.heard(name)
            if total is not None and heard is not None:
                key = recurrence(name), trace.states.shape[1]
                stretches.setdefault(key, []).append((name, total.log_norms(), heard))
        for found in (
            stretches.values()
        ):  # those of one module together: a step or two alone may well be one sequence's
            names, logs, heard = zip(*found, strict=True)
            if int(torch.cat(heard).any(0).sum()) < 4:
                continue
            squares = torch.logsumexp(2 * torch.cat(logs), dim=0).softmax(0)
            if float(squares.max()) > self.share:
                yield self.found(
                    names[0],
                    f"sequence {int(squares.argmax())} alone makes up {float(squares.max()):.0%} of"
                    f" the squared gradient of all {len(squares)} sequences",
                    severity=0.5,
                    confidence=0.7,
                    share=float(squares.max()),
                )
