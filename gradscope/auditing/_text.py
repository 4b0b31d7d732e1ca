"""An audit as text and as a notebook shows it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import pandas as pd

from gradscope.auditing._judgement import Judgement
from gradscope.auditing._memory import Memory
from gradscope.results import markup
from gradscope.results.formats import number

_WIDTH = 100
#: facts that stand in the table, in this order, and what they are called there
_FACTS = {
    "spectral_radius": "spectral radius",
    "forget_gate": "forget gate",
    "update_gate": "update gate",
    "chi": "chi",
}


def table(memories: Sequence[Memory], against: Sequence[Memory]) -> pd.DataFrame:
    """A row for each recurrence, in print."""
    other = {memory.place: memory for memory in against}
    facts = [name for name in _FACTS if any(name in memory.facts for memory in memories)]
    rows = []
    for memory in memories:
        heads = f"{memory.count} {memory.unit}{'s' * (memory.count != 1)}"
        row = {
            "recurrence": memory.place,
            "kind": memory.kind,
            "of": heads,
            "least": number(memory.shortest),
            "median": number(memory.median),
            "longest": number(memory.longest),
            "1/1000 after": number(memory.reach),
        }
        row |= {_FACTS[name]: _shown(memory.facts.get(name)) for name in facts}
        if other:
            same = other.get(memory.place)
            row["median there"] = "–" if same is None else number(same.median)
            row["longest there"] = "–" if same is None else number(same.longest)
        rows.append(row)
    return pd.DataFrame(rows)


def _shown(value: float | None) -> str:
    return "–" if value is None else number(value)


def _said(judgements: Sequence[Judgement], notes: Sequence[str]) -> list[str]:
    """What is to be said of the table, a sentence each."""
    found = [str(judgement) for judgement in judgements] or ["nothing wrong was found"]
    return [*found, *(f"note: {note}" for note in notes)]


def audit_text(
    model: str,
    memories: Sequence[Memory],
    judgements: Sequence[Judgement],
    against: Sequence[Memory],
    notes: Sequence[str],
) -> str:
    """A table of horizons, and what is to be said of them."""
    frame = table(memories, against)
    widths = {name: max(len(str(name)), *map(len, frame[name])) for name in frame}
    left = ("recurrence", "kind", "of")

    def line(cells: Sequence[str]) -> str:
        padded = (
            f"{cell:<{widths[name]}}" if name in left else f"{cell:>{widths[name]}}"
            for name, cell in zip(frame.columns, cells, strict=True)
        )
        return "  ".join(padded).rstrip()

    lines = [f"{model}: memory horizons at rest, in steps", line(list(frame.columns))]
    lines += [line([str(cell) for cell in row]) for row in frame.itertuples(index=False)]
    lines += [
        textwrap.fill(one, _WIDTH, subsequent_indent="  ") for one in _said(judgements, notes)
    ]
    return "\n".join(lines)


def audit_html(
    model: str,
    memories: Sequence[Memory],
    judgements: Sequence[Judgement],
    against: Sequence[Memory],
    notes: Sequence[str],
) -> str:
    """The same for a notebook."""
    title = f"{model}: memory horizons at rest, in steps"
    return markup.card(
        f"audit of {model}",
        markup.paragraph(title, name="Audit"),
        markup.table(table(memories, against), title),
        markup.points(_said(judgements, notes)),
    )
