"""A diagnosis as a notebook shows it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from gradscope.diagnosis._text import Entry
from gradscope.results import markup

#: findings that are shown unasked, and severity times confidence from which on one is grave
_FINDINGS, _GRAVE = 5, 0.5


def findings(entries: Sequence[Entry], summary: Sequence[str], notes: Sequence[str]) -> str:
    """Findings by rank, each with its evidence and the first remedies; then what more there is."""
    noted = [markup.paragraph(f"Note: {note}", soft=True) for note in notes]
    ranks: dict[tuple[str, ...], int] = {}
    shown = []
    for rank, entry in enumerate(entries, 1):
        advice = tuple(entry.advice[:3])
        shown.append(_finding(rank, entry, ranks.setdefault(advice, rank)))
    more = shown[_FINDINGS:]
    further = [markup.folded(f"{len(more)} more findings", "\n".join(more))] if more else []
    said = [markup.paragraph(sentence) for sentence in summary]
    return "\n".join([*shown[:_FINDINGS], *further, *said, *noted])


def _finding(rank: int, entry: Entry, as_for: int) -> str:
    finding = entry.finding
    certainty = f"severity {finding.severity:.2f}, confidence {finding.confidence:.2f}"
    evidence = [f"{name} {value}" for name, value in finding.numbers.items()]
    grave = " grave" if finding.severity * finding.confidence >= _GRAVE else ""
    parts = [
        f"<p><b>{rank}. {escape(finding.title)}</b> "
        f'<span class="soft">[{escape(certainty)}]</span></p>',
        markup.paragraph(finding.sentence),
        markup.paragraph("; ".join(evidence), soft=True, name="Evidence:") if evidence else "",
    ]
    if entry.advice and as_for != rank:
        parts.append(markup.paragraph(f"as for {as_for}.", name="Remedies:"))
    elif entry.advice:
        parts += [markup.paragraph("", name="Remedies:"), markup.points(entry.advice, 3)]
    return f'<div class="finding{grave}">{"".join(parts)}</div>'
