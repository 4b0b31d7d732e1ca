"""A report as a PDF with vector figures, set by Typst (the extra ``pdf``)."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import matplotlib as mpl

from gradscope.errors import GradscopeError, MissingPackageError
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
from gradscope.report.figures import FULL_WIDTH
from gradscope.report.formulas import written
from gradscope.results.files import write_atomically

#: matplotlib's own fonts come last: they have every sign that a report uses
_PREAMBLE = """\
#set document(title: [{title}], date: none)
#set page(paper: "a4", margin: (x: 2.1cm, y: 2.2cm), numbering: "1")
#set text(font: ("Libertinus Serif", "Noto Serif CJK SC", "Noto Sans CJK SC", "DejaVu Sans"),
  size: 10pt, lang: "en")
#set par(justify: true)
#show heading: set block(above: 1.5em, below: 0.7em, sticky: true)
#show figure.caption: set text(size: 8.5pt)
#show figure.caption: set align(left)
#show figure: set block(breakable: false)
#let soft(body) = text(size: 8.5pt, fill: luma(35%), body)
"""
#: columns from which on a table is set smaller
_WIDE = 6
#: punctuation is never markup where it is escaped
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def check_pdf() -> None:
    """Refuse where no PDF can be set.

    Raises:
        MissingPackageError: if Typst is not installed.
    """
    if find_spec("typst") is None:
        raise MissingPackageError(
            "a PDF is set by Typst, which is not installed; "
            "'pip install gradscope-dynamics[pdf]' brings it"
        )


def write_pdf(document: Document, folder: Path) -> Path:
    """Write ``report.pdf``; returns its path.

    Raises:
        MissingPackageError: if Typst is not installed.
        GradscopeError: if it cannot set the document; the message has its reason.
    """
    check_pdf()
    import typst

    fonts = Path(mpl.get_data_path()) / "fonts" / "ttf"
    source, root = typeset(document).encode(), folder.resolve()
    try:  # its types ask for one type of all three, which it does not need
        content = typst.compile(source, root=root, font_paths=[fonts])  # pyright: ignore
    except typst.TypstError as error:
        raise GradscopeError(f"{folder}: the PDF could not be set: {error}") from None
    path = folder / "report.pdf"
    write_atomically(path, content)
    return path


def typeset(document: Document) -> str:
    """A document as Typst has it; its figures are in ``figures/``."""
    title = escaped(document.title)
    parts = [f"#text(size: 20pt, weight: 700)[{title}]", *map(_of_block, document.blocks)]
    return _PREAMBLE.replace("{title}", title) + "\n" + "\n\n".join(parts) + "\n"


def _of_block(block: Block) -> str:
    """One block as Typst."""
    match block:
        case Heading(text):
            return f"= {escaped(text)}"
        case Paragraph(text, soft):
            return f"#soft[{with_formulas(text)}]" if soft else with_formulas(text)
        case Bullets(items):
            return "\n".join(f"- {with_formulas(item)}" for item in items)
        case Grid(folded=title):
            return f"*{with_formulas(title)}*\n\n{_table(block)}" if title else _table(block)
        case Terms(pairs):
            told = [f"/ {with_formulas(term)}: {with_formulas(said)}" for term, said in pairs]
            return "#[\n#set text(size: 8.5pt)\n" + "\n".join(told) + "\n]"
        case FigureBlock(shown):
            heading = f"= {escaped(shown.title)}\n\n"
            if shown.problem or shown.words:
                return heading + with_formulas(shown.problem or shown.words)
            caption = with_formulas(shown.caption)
            share = min(100, round(100 * shown.width / FULL_WIDTH))
            image = f'image("figures/{shown.name}.svg", width: {share}%)'
            return f"{heading}#figure({image}, caption: [{caption}])"


def with_formulas(text: str) -> str:
    """Text with subscripts, no sign of which is markup."""
    return written(text, escaped, "#sub[{}]".format, "#super[{}]".format)


def escaped(text: str) -> str:
    r"""Text no sign of which is markup.

    >>> escaped("a_b $c")
    'a\\_b \\$c'
    """
    return _PUNCTUATION.sub(r"\\\1", " ".join(text.split()))


def _table(grid: Grid) -> str:
    """A table that may go on over pages; numbers are to the right."""
    count = len(grid.columns)
    header = ", ".join(f"[*{_cell(column)}*]" for column in grid.columns)
    cells = ",\n".join(", ".join(f"[{_cell(cell)}]" for cell in row) for row in grid.rows)
    side = "left" if grid.words else "if column == 0 { left } else { right }"
    size = 7 if count >= _WIDE else 8.5
    return (
        f"#[\n#set text(size: {size}pt)\n#set par(justify: false)\n#table(columns: {count}, "
        "stroke: (x: none, y: 0.4pt + luma(80%)), inset: 4pt, "
        f"align: (column, row) => {side},\n"
        f"table.header({header}),\n{cells})\n]"
    )


def _cell(text: str) -> str:
    return " \\ ".join(with_formulas(line) for line in text.split("\n"))
