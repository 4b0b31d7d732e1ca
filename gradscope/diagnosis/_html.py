"""A diagnosis as a notebook shows it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from gradscope.diagnosis._text import Entry


def table(entries: Sequence[Entry], looked_at: Sequence[str], notes: Sequence[str]) -> str:
    """A table of findings with their evidence and the first remedies."""
    noted = "".join(f"<p><small>{escape(note)}</small></p>" for note in notes)
    if not entries:
        return f"<p>Nothing found: {len(looked_at)} kinds of illness were looked for.</p>{noted}"
    heads = ("", "finding", "severity", "confidence", "what was seen", "evidence", "what may help")
    head = "".join(f"<th>{name}</th>" for name in heads)
    rows = "".join(_row(rank, entry) for rank, entry in enumerate(entries, 1))
    return (
        f"<table><thead><tr>{head}</tr></thead><tbody style='text-align: left'>{rows}</tbody>"
        f"</table>{noted}"
    )


def _row(rank: int, entry: Entry) -> str:
    finding = entry.finding
    evidence = [f"{name} {value}" for name, value in finding.numbers.items()]
    cells = [
        str(rank),
        escape(finding.title),
        f"{finding.severity:.2f}",
        f"{finding.confidence:.2f}",
        escape(finding.sentence),
        "<br>".join(map(escape, evidence)),
        "<br>".join(map(escape, entry.advice[:3])),
    ]
    return "<tr>" + "".join(f"<td style='text-align: left'>{cell}</td>" for cell in cells) + "</tr>"
