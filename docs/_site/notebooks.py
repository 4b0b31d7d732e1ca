"""Tutorials: Markdown pages that are notebooks. Their code is run, and what it gives is shown.

In a page, a block of ``python`` is a cell, a block of ``bash`` is one of commands, and a block
whose first line is ``# name.ext`` is a file of that name. All else is text. ``python -m
docs._site.notebooks PAGE ...`` runs pages; what ran is kept in ``build/notebooks`` as long as
neither the page nor the package changes.
"""

from __future__ import annotations

import base64
import hashlib
import html
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).parent.parent.parent
KEPT = ROOT / "build" / "notebooks"

#: seconds that a cell may take, on a machine that is busy with other things as well
PATIENCE = 900
_BLOCK = re.compile(r"^```(python|bash|yaml)\n(.*?)^```$\n?", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"# (\w+\.\w+)\n")
#: escapes by which a terminal is told colours
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
#: figures as they are drawn, sharp enough for a dense screen; no colours in what commands print
_SETUP = """\
%matplotlib inline
%config InlineBackend.figure_formats = ["svg"]"""


@dataclass(frozen=True)
class Part:
    """A piece of a page.

    Attributes:
        text: as it stands in the page.
        code: what the notebook's cell runs; "" for text.
    """

    text: str
    code: str = ""


def parts(page: str) -> Iterator[Part]:
    """A page's text and cells, in order."""
    end = 0
    for block in _BLOCK.finditer(page):
        language, code = block[1], block[2].rstrip("\n")
        named = _FILE.match(block[2])
        if language == "yaml" and not named:
            continue
        if text := page[end : block.start()].strip("\n"):
            yield Part(text)
        if named:
            code = f"%%writefile {named[1]}\n{code}"
        elif language == "bash":
            code = f"%%bash\n{code}"
        yield Part(block[0].strip("\n"), code)
        end = block.end()
    if text := page[end:].strip("\n"):
        yield Part(text)


def notebook(page: str) -> NotebookNode:
    """A page as a notebook that has not run; its first cell is hidden on the site."""
    cells = [new_code_cell(_SETUP)]
    for part in parts(page):
        cells.append(new_code_cell(part.code) if part.code else new_markdown_cell(part.text))
    for place, cell in enumerate(cells):
        cell["id"] = f"cell-{place}"
    about = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return new_notebook(cells=cells, metadata=about)


def executed(path: Path) -> NotebookNode:
    """A page's notebook with the outputs of its cells.

    Raises:
        RuntimeError: if a cell fails; the message has its code and its error.
    """
    made = notebook(path.read_text(encoding="utf-8"))
    digest = hashlib.sha256((nbformat.writes(made) + _version()).encode()).hexdigest()
    kept = KEPT / f"{path.stem}-{digest[:16]}.ipynb"
    if kept.exists():
        return nbformat.read(kept, as_version=4)
    with tempfile.TemporaryDirectory() as folder, _Environment(folder):
        # files for sockets: nothing listens on a port that other users of the machine could reach
        manager = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=f"{folder}/kernel")
        where = {"metadata": {"path": str(Path(folder) / "work")}}
        client = NotebookClient(
            made, km=manager, timeout=PATIENCE, startup_timeout=PATIENCE, resources=where
        )
        try:
            client.execute()
        except CellExecutionError as error:
            raise RuntimeError(f"{path.name}: {_COLOURS.sub('', str(error))}") from None
    KEPT.mkdir(parents=True, exist_ok=True)
    for old in KEPT.glob(f"{path.stem}-*.ipynb"):
        old.unlink()
    nbformat.write(made, kept)
    return made


@cache
def _version() -> str:
    """A digest of all that a page's outputs depend on, beside the page."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "gradscope").rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(path.read_bytes())
    return digest.hexdigest()


class _Environment:
    """The commands of this environment first, this folder's package, and plain output.

    Args:
        folder: for the notebook's work, and for what Jupyter and IPython write.
    """

    def __init__(self, folder: str):
        self.folder = Path(folder)

    def __enter__(self) -> None:
        (self.folder / "work").mkdir()
        self._before = dict(os.environ)
        path = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
        python = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        os.environ["PATH"] = os.pathsep.join(filter(None, path))
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, python))
        os.environ.update(OMP_NUM_THREADS="1", NO_COLOR="1", COLUMNS="100")
        os.environ.update(JUPYTER_RUNTIME_DIR=str(self.folder), IPYTHONDIR=str(self.folder))

    def __exit__(self, *_: object) -> None:
        os.environ.clear()
        os.environ.update(self._before)


# --- the page on the site -------------------------------------------------------------------------


@dataclass(frozen=True)
class Shown:
    """A tutorial as the site shows it.

    Attributes:
        markdown: the page with a mark where an output stands.
        outputs: mark to HTML.
        images: file name to contents.
    """

    markdown: str
    outputs: dict[str, str]
    images: dict[str, bytes]


def shown(page: str, made: NotebookNode, stem: str) -> Shown:
    """A page with what its cells gave below each of them."""
    text: list[str] = []
    outputs: dict[str, str] = {}
    images: dict[str, bytes] = {}
    for part, cell in zip(parts(page), made.cells[1:], strict=True):
        text.append(_titled(part))
        given = _joined(cell.get("outputs", []))
        pieces = [piece for output in given for piece in _html(output, stem, images)]
        if pieces and not part.code.startswith("%%writefile"):
            mark = f"output-{len(outputs)}"
            outputs[mark] = f'<div class="output">{"".join(pieces)}</div>'
            text.append(f'<div id="{mark}"></div>')
    text.append(f"[Download this page as a notebook, with its outputs]({stem}.ipynb)")
    return Shown("\n\n".join(text), outputs, images)


def _titled(part: Part) -> str:
    """The part as it stands, with a file's name above its contents."""
    if not part.code.startswith("%%writefile"):
        return part.text
    fence, first, rest = part.text.split("\n", 2)
    return f'{fence} title="{first[2:]}"\n{rest}'


def _joined(outputs: list[NotebookNode]) -> Iterator[NotebookNode]:
    """Outputs, with what was printed piece by piece in one; what went to stderr is left out."""
    text = ""
    for output in outputs:
        if output.output_type == "stream":
            text += output.text if output.name == "stdout" else ""
            continue
        if text:
            yield new_output("stream", name="stdout", text=text)
        text = ""
        yield output
    if text:
        yield new_output("stream", name="stdout", text=text)


def _html(output: NotebookNode, stem: str, images: dict[str, bytes]) -> Iterator[str]:
    """One output of a cell as HTML; an image becomes a file."""
    if output.output_type == "stream":
        yield f"<pre>{html.escape(_COLOURS.sub('', output.text))}</pre>"
        return
    data = output.get("data", {})
    for kind, ending in (("image/svg+xml", "svg"), ("image/png", "png")):
        if kind in data:
            name = f"{stem}-{len(images) + 1}.{ending}"
            content = data[kind]
            images[name] = content.encode() if ending == "svg" else base64.b64decode(content)
            yield f'<img src="{name}" alt="The figure that the cell above draws">'
            return
    if "text/html" in data:
        yield data["text/html"]
    elif "text/plain" in data:
        yield f"<pre>{html.escape(data['text/plain'])}</pre>"


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        began = time.monotonic()
        executed(Path(argument))
        print(f"{argument}: {time.monotonic() - began:.0f} s")
