"""The report of a run as one page that works offline."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from gradscope.report.contents import STRONG_FACTOR, Contents, contents_of
from gradscope.report.document import run_document
from gradscope.report.explorer import explorer_html
from gradscope.report.formats import FORMATS, checked
from gradscope.report.templates import write_page
from gradscope.results.files import write_atomically
from gradscope.results.gathered import gather
from gradscope.results.records import RunDirectory
from gradscope.results.spreadsheets import csv_of

_TEMPLATE = Path(__file__).with_name("run.html")


def write_report(
    run: RunDirectory, formats: Sequence[str] = ("html",), folder: Path | None = None
) -> list[Path]:
    """Draw all figures of a run and write its report; returns where it is, in each format.

    ``summary.csv`` and ``figures/`` are written as well.

    Args:
        run: what is recorded so far; trials may still be running.
        formats: html (``index.html``), md, ipynb or pdf (``report.<format>``); with pdf each
            figure is drawn into ``figures/paper`` as well, one column wide, its caption in LaTeX.
        folder: where to write; None is the run directory.

    Raises:
        GradscopeError: for a format that does not exist.
        MissingPackageError: for a format whose package is not installed.
        RunDirectoryError: if no trial is recorded yet, or a file is damaged.
    """
    chosen = checked(formats)
    folder = run.path if folder is None else folder
    gather(run)
    contents = contents_of(run, folder / "figures", for_paper="pdf" in chosen)
    write_atomically(folder / "summary.csv", csv_of(contents.whole_summary).encode())
    document = run_document(contents, os.path.relpath(run.path, folder))
    return [
        _page(contents, folder) if name == "html" else FORMATS[name](document, folder)
        for name in chosen
    ]


def _page(contents: Contents, folder: Path) -> Path:
    """Write the page itself."""
    content = {
        "title": contents.title,
        "run": contents.run,
        "recorded": contents.recorded,
        "failures": contents.failures,
        "verdict": contents.verdict,
        "strong": STRONG_FACTOR,
        "expectations": contents.expectations.to_dict("records"),
        "summary": contents.summary(),
        "whole_summary": contents.summary(whole=True) if contents.folded else None,
        "judged": contents.judged.measure.title,
        "where": contents.tables.where,
        "effects": contents.effects,
        "causes": contents.diverged.to_dict("records"),
        "task": contents.task,
        "figures": contents.figures,
        "explorer": explorer_html(contents.tables),
        "cost": contents.cost,
    }
    return write_page(_TEMPLATE, folder, content)
