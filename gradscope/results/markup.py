"""Words and tables as a piece of HTML that a notebook shows as the value of a cell.

It names no colour: everything is a share of the text colour that the notebook gives it, so it
suits the light and dark themes of Jupyter, marimo and others. Without its style, which a notebook
may strip, it is plain paragraphs, lists and tables.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

import pandas as pd

#: rows and points that are shown unasked
ROWS, POINTS = 20, 8
#: rows that a notebook holds at all
_MOST_ROWS = 300

_STYLE = """
.gradscope-card { line-height: 1.5; color: inherit; text-align: left; }
.gradscope-card p { margin: .35em 0; max-width: 90ch; }
.gradscope-card ul { margin: .35em 0; padding-left: 1.5em; max-width: 90ch; list-style: disc; }
.gradscope-card .soft { opacity: .8; font-size: .93em; }
.gradscope-card .scroll { overflow-x: auto; max-width: 100%; }
.gradscope-card table { border-collapse: collapse; border: 0; margin: .5em 0; font-size: .93em;
  font-variant-numeric: tabular-nums; }
.gradscope-card tr { background: none; }
.gradscope-card a { color: inherit; text-decoration: underline; }
.gradscope-card th, .gradscope-card td { text-align: right; vertical-align: top; border: 0;
  padding: .25em .7em; border-bottom: 1px solid rgba(128, 128, 128, .4); white-space: pre; }
.gradscope-card thead th { white-space: normal; }
.gradscope-card tbody th { font-weight: inherit; }
.gradscope-card tr > :first-child { text-align: left; }
.gradscope-card .words :is(th, td) { text-align: left; white-space: normal; max-width: 40em; }
.gradscope-card summary { cursor: pointer; width: fit-content; }
.gradscope-card .finding { border-left: 4px solid rgba(128, 128, 128, .7); padding-left: .9em;
  margin: .7em 0; }
.gradscope-card .finding.grave { border-left-color: #d2602f; }
.gradscope-card img { display: block; max-width: 100%; height: auto; background: #fff; }
"""


def card(label: str, *parts: str) -> str:
    """Parts as one piece.

    Args:
        label: what it is, for who cannot see it.
        parts: HTML; empty ones are left out.
    """
    body = "\n".join(part for part in parts if part)
    return (
        f'<div class="gradscope-card" role="group" aria-label="{escape(label)}">'
        f"<style>{_STYLE}</style>\n{body}\n</div>"
    )


def paragraph(text: str, *, name: str = "", soft: bool = False) -> str:
    """A paragraph of plain text.

    Args:
        text: is escaped.
        name: what it is of, put before it in bold.
        soft: whether it matters less.
    """
    bold = f"<b>{escape(name)}</b> " if name else ""
    kind = ' class="soft"' if soft else ""
    return f"<p{kind}>{bold}{escape(text)}</p>"


def points(texts: Sequence[str], most: int = POINTS) -> str:
    """Plain texts as a list, those beyond ``most`` folded; "" where there are none."""
    if not texts:
        return ""
    shown, more = texts[:most], texts[most:]
    return _list(shown) + (folded(f"{len(more)} more", _list(more)) if more else "")


def _list(texts: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>"


def folded(summary: str, content: str) -> str:
    """HTML that is shown when it is asked for."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def table(
    frame: pd.DataFrame, label: str, *, shown: pd.DataFrame | None = None, words: bool = False
) -> str:
    """A table, whose rows are folded where they are many.

    Args:
        frame: of texts, the first of a row its name.
        label: what it shows.
        shown: rows of a long one that are shown unasked; None is the first ones.
        words: whether it holds words, which begin at the left.
    """
    if len(frame) <= ROWS:
        return _table(frame, label, words)
    few = frame.head(ROWS) if shown is None else shown.head(ROWS)
    whole = frame.head(_MOST_ROWS)
    count = f"All {len(frame):,} rows"
    if len(whole) < len(frame):
        count = f"The first {len(whole)} of {len(frame):,} rows"
    return (
        paragraph(f"{len(few)} of {len(frame):,} rows:", soft=True)
        + _table(few, label, words)
        + folded(count, _table(whole, f"{label}, whole", words))
    )


def _table(frame: pd.DataFrame, label: str, words: bool) -> str:
    head = "".join(f'<th scope="col">{escape(str(column))}</th>' for column in frame.columns)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>'
        for first, *rest in (map(escape, map(str, row)) for row in frame.to_numpy())
    )
    kind = ' class="words"' if words else ""
    # a table that is too wide is scrolled, by the arrow keys too
    return (
        f'<div class="scroll" role="group" tabindex="0" aria-label="{escape(label)}">'
        f"<table{kind}><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def link(path: Path, text: str = "") -> str:
    """A link to a file, where one can be followed: below the notebook's working directory.

    Elsewhere it is the path, since a notebook's page must not open files of the machine.

    Args:
        path: of the file.
        text: of the link; "" is the path.
    """
    whole = Path(os.path.abspath(path))
    if not whole.is_relative_to(Path.cwd()):
        return f"<code>{escape(os.fspath(path))}</code>"
    target = quote(whole.relative_to(Path.cwd()).as_posix())
    return f'<a href="{target}">{escape(text or os.fspath(path))}</a>'
