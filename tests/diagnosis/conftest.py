"""Diagnoses of findings made by hand."""

from __future__ import annotations

from gradscope.capture import Place
from gradscope.diagnosis import Diagnosis
from gradscope.findings import FINDINGS, Finding

RNN = Place("rnn", "rnn")


def finding_of(
    name: str = "vanishing",
    where: Place | str = RNN,
    severity: float = 0.5,
    says: str = "vanishes",
    remedies: tuple[str, ...] | None = None,
) -> Finding:
    """What a check would find."""
    return FINDINGS.make(name).finding(
        where,
        says,
        severity=severity,
        confidence=0.8,
        evidence={"lag": 12, "nats_per_step": -0.5},
        remedies=remedies,
    )


def diagnosis_of(
    *findings: Finding, cell: str = "RNN", notes: tuple[str, ...] = (), looked_at: int = 28
) -> Diagnosis:
    """A diagnosis of one recurrence of that class of cell."""
    names = tuple(FINDINGS.names()[:looked_at])
    return Diagnosis(findings, {"rnn": cell}, names, notes)
