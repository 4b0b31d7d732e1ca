"""A diagnosis as lines of text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from gradscope.findings import Finding

_WIDTH = 100


class Entry(NamedTuple):
    """A finding, and what may help against it in words, the best first."""

    finding: Finding
    advice: Sequence[str]


def text(entries: Sequence[Entry], summary: Sequence[str], notes: Sequence[str]) -> str:
    """Ranked, with evidence and the first remedies; then what more there is to say."""
    noted = [textwrap.fill(f"note: {note}", _WIDTH, subsequent_indent="      ") for note in notes]
    lines: list[str] = []
    ranks: dict[tuple[str, ...], int] = {}
    for rank, entry in enumerate(entries, 1):
        lines += _finding(rank, entry.finding)
        advice = tuple(entry.advice[:3])
        if advice and advice in ranks:
            lines.append(f"   - remedies: as for {ranks[advice]}")
            continue
        ranks[advice] = rank
        lines += [_indented(f"- {remedy}", "     ") for remedy in advice]
    said = [textwrap.fill(sentence, _WIDTH) for sentence in summary]
    return "\n".join([*lines, *said, *noted])


def _finding(rank: int, finding: Finding) -> list[str]:
    certainty = f"severity {finding.severity:.2f}, confidence {finding.confidence:.2f}"
    return [
        f"{rank}. {finding.title}  [{certainty}]",
        _indented(finding.sentence, "   "),
    ]


def _indented(paragraph: str, further: str) -> str:
    return textwrap.fill(paragraph, _WIDTH, initial_indent="   ", subsequent_indent=further)
