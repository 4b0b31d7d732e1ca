"""The report of runs that are held against each other."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gradscope.report.document import (
    Block,
    Bullets,
    Document,
    FigureBlock,
    Grid,
    Heading,
    Paragraph,
    grid,
)
from gradscope.report.explorer import explorer_html
from gradscope.report.figures import Shown, drawn
from gradscope.report.formats import FORMATS, checked
from gradscope.report.templates import write_page
from gradscope.results import phrases
from gradscope.results.files import write_atomically
from gradscope.results.formats import interval
from gradscope.results.run_comparison import Difference, RunComparison
from gradscope.results.spreadsheets import csv_of

_TEMPLATE = Path(__file__).with_name("document.html")
#: rows of a table that are shown unasked
_ROWS = 30


def write_comparison(
    comparison: RunComparison,
    runs: Mapping[str, Path],
    folder: Path,
    formats: Sequence[str] = ("html",),
) -> list[Path]:
    """Write the report of a comparison; returns where it is, in each format.

    ``differences.csv`` and ``figures/`` are written as well.

    Args:
        comparison: of the runs.
        runs: name to directory.
        folder: where it goes; made if it does not exist.
        formats: html, md, ipynb or pdf.

    Raises:
        GradscopeError: for a format that does not exist.
        MissingPackageError: for a format whose package is not installed.
    """
    chosen = checked(formats)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "differences.csv", csv_of(comparison.table()).encode())
    figures = drawn(None, comparison.tables, folder / "figures", for_paper="pdf" in chosen)
    document = comparison_document(comparison, figures, _opening(runs, folder))
    return [
        _page(document, comparison, folder) if name == "html" else FORMATS[name](document, folder)
        for name in chosen
    ]


def comparison_document(
    comparison: RunComparison, figures: Sequence[Shown], opening: str
) -> Document:
    """The report of a comparison."""
    title = " against ".join(reversed(comparison.names[:2]))
    others = len(comparison.names) - 2
    more = f", and {others} more" if others > 0 else ""
    return Document(title + more, list(_blocks(comparison, figures)), opening)


def _blocks(comparison: RunComparison, figures: Sequence[Shown]) -> Iterator[Block]:
    first = comparison.names[0]
    yield Heading("What was found")
    yield Bullets(comparison.verdict())
    yield Paragraph(
        f"Each run is held against {first}, configuration by configuration and length by length, "
        "seed by seed where two seeds or more are common. In brackets are 95% intervals over "
        "seeds. ×0.5 is half as much. No evidence means that so few seeds may differ as much by "
        "chance, not that there is no difference; p is by Holm's correction over the rows of a "
        "measure and run.",
        soft=True,
    )
    yield Heading("What the runs differ in")
    settings = comparison.settings()
    if settings.empty:
        yield Paragraph("In nothing that is recorded: the same settings, versions and machine.")
    else:
        yield grid(settings, words=True)
        said = "Settings that trials of one run differ in show all their values."
        yield Paragraph(said, soft=True)
    yield Heading("Side by side")
    for run in comparison.names[1:]:
        yield from _tables(comparison, run)
    yield from map(FigureBlock, figures)


def _tables(comparison: RunComparison, run: str) -> Iterator[Block]:
    """A table for each measure of a run; that which runs are judged by is open."""
    found: dict[str, list[Difference]] = {}
    for difference in comparison.differences:
        if difference.run == run:
            found.setdefault(difference.measure.name, []).append(difference)
    for name, rows in found.items():
        judged = name == comparison.judged.measure.name
        title = f"{rows[0].measure.title}: {run} against {comparison.names[0]}"
        folded = title if not judged or len(rows) > _ROWS else ""
        if not folded:
            yield Paragraph(title)
        yield _table(rows, folded)


def _table(rows: Sequence[Difference], folded: str) -> Grid:
    first = rows[0]
    lengths = any(row.length >= 0 for row in rows)
    columns = ["configuration", *(["length (steps)"] if lengths else []), first.against, first.run]
    cells = []
    for row in rows:
        here, there = (
            row.measure.printed(estimate, estimate.n, "\n")
            for estimate in (row.value, row.reference)
        )
        place = [row.configuration, *([str(row.length)] if lengths else [])]
        cells.append([*place, there, here, _effect(row)])
    what = "ratio" if first.comparison.is_ratio else "difference"
    return Grid([*columns, what], cells, folded=folded)


def _effect(row: Difference) -> str:
    """By how much they differ, and on what evidence."""
    if row.same:
        return "the same in every seed"
    if math.isnan(row.comparison.effect.centre):
        return "–"
    said = phrases.effect(row.comparison)
    bounds = interval(row.comparison.effect)
    p = "" if math.isnan(row.p) else f", {phrases.p_value(row.p)}"
    mark = "beyond chance" if row.evident else "no evidence"
    return f"{said}\n({bounds}{p})\n{mark}; {phrases.seeds(row.comparison)}"


def _opening(runs: Mapping[str, Path], folder: Path) -> str:
    """The Python by which a notebook in the folder opens the comparison."""
    paths = [Path(os.path.relpath(path, folder)).as_posix() for path in runs.values()]
    given = ", ".join(map(repr, paths))
    return f"import gradscope\n\nrun = gradscope.compare({given})"


def _page(document: Document, comparison: RunComparison, folder: Path) -> Path:
    content = {
        "title": document.title,
        "kicker": "gradscope comparison",
        "blocks": document.blocks,
        "explorer": explorer_html(comparison.tables),
        "csv": "differences.csv",
    }
    return write_page(_TEMPLATE, folder, content)
