"""Formats that a report may be written in, beside the page itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from gradscope.components.suggestions import suggest
from gradscope.errors import UnknownNameError
from gradscope.report.document import Document
from gradscope.report.markdown import write_markdown
from gradscope.report.notebook import write_notebook
from gradscope.report.pdf import check_pdf, write_pdf

#: format to what writes a document into a folder and returns the file's path
FORMATS: dict[str, Callable[[Document, Path], Path]] = {
    "md": write_markdown,
    "ipynb": write_notebook,
    "pdf": write_pdf,
}
#: every format by name
NAMES = ("html", *FORMATS)


def checked(formats: Sequence[str]) -> list[str]:
    """Formats in the order in which they were asked for, each once.

    Raises:
        UnknownNameError: for one that does not exist.
        MissingPackageError: for one whose package is not installed.
    """
    for name in formats:
        if name not in NAMES:
            raise UnknownNameError(f"there is no format {name!r}; {suggest(name, NAMES)}")
    if "pdf" in formats:
        check_pdf()
    return list(dict.fromkeys(formats))
