"""A report as a Jupyter notebook, whose cells draw its figures anew."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

from gradscope.report.document import Block, Document, FigureBlock
from gradscope.report.markdown import escaped, of_block, with_formulas
from gradscope.results.files import write_atomically

_VERSION = {"nbformat": 4, "nbformat_minor": 5}
_KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def write_notebook(document: Document, folder: Path) -> Path:
    """Write ``report.ipynb``; returns its path. It opens what lies beside it."""
    path = folder / "report.ipynb"
    content = json.dumps(notebook(document, folder), ensure_ascii=False, indent=1)
    write_atomically(path, content.encode())
    return path


def notebook(document: Document, folder: Path) -> dict[str, object]:
    """A document in Jupyter's format: text as it is, figures as the cells that draw them.

    Args:
        document: what is written.
        folder: where its ``figures/`` are.

    Reference: the notebook format, nbformat 4.5.
    """
    cells = list(_cells(document, folder))
    numbered = [{"id": f"cell-{place}", **cell} for place, cell in enumerate(cells)]
    metadata = {"kernelspec": _KERNEL, "language_info": {"name": "python"}}
    return {"cells": numbered, "metadata": metadata, **_VERSION}


def _cells(document: Document, folder: Path) -> Iterator[dict[str, object]]:
    yield _text(f"# {escaped(document.title)}")
    yield _code(document.opening)
    words: list[Block] = []
    for block in document.blocks:
        if not isinstance(block, FigureBlock) or block.shown.problem or block.shown.words:
            words.append(block)
            continue
        if words:
            yield _text("\n\n".join(map(of_block, words)))
        words, shown = [], block.shown
        yield _text(f"## {escaped(shown.title)}\n\n{with_formulas(shown.caption)}")
        image = (folder / "figures" / f"{shown.name}.png").read_bytes()
        yield _code(shown.call, image)
    if words:
        yield _text("\n\n".join(map(of_block, words)))


def _text(markdown: str) -> dict[str, object]:
    return {"cell_type": "markdown", "metadata": {}, "source": markdown}


def _code(source: str, image: bytes = b"") -> dict[str, object]:
    outputs: list[dict[str, object]] = []
    if image:
        data = {"image/png": base64.b64encode(image).decode()}
        outputs = [{"output_type": "display_data", "data": data, "metadata": {}}]
    cell: dict[str, object] = {"cell_type": "code", "execution_count": None, "metadata": {}}
    return {**cell, "outputs": outputs, "source": source}
