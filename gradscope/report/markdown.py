"""A report as Markdown, for a repository or an issue."""

from __future__ import annotations

import re
from pathlib import Path

from gradscope.report.document import (
    Block,
    Bullets,
    Document,
    FigureBlock,
    Grid,
    Heading,
    Paragraph,
    Terms,
)
from gradscope.report.formulas import written
from gradscope.results.files import write_atomically

#: what Markdown, or the HTML within it, would take as its own
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$])")


def write_markdown(document: Document, folder: Path) -> Path:
    """Write ``report.md``; returns its path. Figures are linked from ``figures/``."""
    path = folder / "report.md"
    write_atomically(path, markdown(document).encode())
    return path


def markdown(document: Document) -> str:
    """A document as Markdown."""
    parts = [f"# {escaped(document.title)}", *map(of_block, document.blocks)]
    return "\n\n".join(part for part in parts if part) + "\n"


def of_block(block: Block) -> str:
    """One block as Markdown."""
    match block:
        case Heading(text):
            return f"## {escaped(text)}"
        case Paragraph(text):
            return with_formulas(text)
        case Bullets(items):
            return "\n".join(f"- {with_formulas(item)}" for item in items)
        case Grid(folded=title):
            return f"**{with_formulas(title)}**\n\n{_table(block)}" if title else _table(block)
        case Terms(pairs):
            return "\n".join(
                f"- **{with_formulas(term)}**: {with_formulas(said)}" for term, said in pairs
            )
        case FigureBlock(shown):
            heading = f"## {escaped(shown.title)}"
            if shown.problem or shown.words:
                return f"{heading}\n\n{with_formulas(shown.problem or shown.words)}"
            image = f"![{escaped(shown.title)}](figures/{shown.name}.svg)"
            return f"{heading}\n\n{image}\n\n{with_formulas(shown.caption)}"


def with_formulas(text: str) -> str:
    """Text with subscripts, everything that Markdown would take as its own as it stands."""
    return written(text, escaped, "<sub>{}</sub>".format, "<sup>{}</sup>".format)


def escaped(text: str) -> str:
    """Text as it stands.

    >>> escaped("a_b | <c>")
    'a\\\\_b \\\\| \\\\<c\\\\>'
    """
    return _SPECIAL.sub(r"\\\1", text)


def _table(grid: Grid) -> str:
    """A table whose cells may have several lines; numbers are to the right."""
    rows = [grid.columns, *grid.rows]
    lines = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    side = " :-- |" if grid.words else " --: |"
    return "\n".join([lines[0], "| :-- |" + side * (len(grid.columns) - 1), *lines[1:]])


def _cell(text: str) -> str:
    return "<br>".join(escaped(line) for line in text.split("\n"))
