"""Explorer: the explorer of a report, within a cell of a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Protocol, runtime_checkable

from gradscope.errors import GradscopeError, NothingToDrawError
from gradscope.plots._function import HasTables
from gradscope.report.explorer import explorer_html
from gradscope.report.explorer.contents import MOST
from gradscope.report.explorer.sources import SOURCES
from gradscope.report.templates import filled
from gradscope.results.files import write_atomically
from gradscope.results.tables import Tables

_HERE = Path(__file__).parent
#: CSS pixels of a frame whose notebook does not let it take what it needs
_HEIGHT = 760
#: megabytes of numbers in a notebook: its file keeps them all, once for each explorer
_MEGABYTES = 2.0


@runtime_checkable
class Measurable(Protocol):
    """What a scope is to the explorer."""

    def measure_in_full(self) -> Tables:
        """All tables of its recordings."""
        ...

    @property
    def left_out(self) -> list[str]:
        """What could not be measured, and why."""
        ...


class Explorer:
    """The interactive explorer of a run; ``gradscope.explorer`` makes one.

    Args:
        tables: that it shows.
        title: above it.
        height: of its frame in CSS pixels; None is as high as it needs to be.
        megabytes: of numbers that it holds in a notebook.
        notes: what the reader should know, such as what could not be measured.

    Raises:
        NothingToDrawError: if the tables hold nothing that it shows.
    """

    def __init__(
        self,
        tables: Tables,
        title: str,
        *,
        height: int | None,
        megabytes: float,
        notes: Sequence[str] = (),
    ):
        self.tables, self.title, self.notes = tables, title, notes
        self.height, self.megabytes = height, megabytes
        self._html = self._page(megabytes, frame=True)

    def __repr__(self) -> str:
        return f"Explorer({self.title!r}: a notebook shows it, and save(path) writes it as a page)"

    def _repr_html_(self) -> str:
        # nothing else ends an attribute or begins a reference in one
        held = self._html.replace("&", "&amp;").replace('"', "&quot;")
        title = self.title.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
        fits = " data-fit" if self.height is None else ""
        return (
            f'<iframe title="Explorer: {title}"{fits} width="100%" '
            f'height="{self.height or _HEIGHT}" style="border: 0; width: 100%" '
            f'srcdoc="{held}"></iframe>'
        )

    def save(self, path: str | PathLike[str], *, megabytes: float = MOST / 1e6) -> Path:
        """Write the explorer as a page of its own, which works offline; returns its path.

        Its address keeps what is chosen, as that of a report does.

        Args:
            path: of the file, such as ``"explorer.html"``.
            megabytes: of numbers that it holds.

        Raises:
            GradscopeError: if it cannot be written there, or for megabytes that are not above 0.
        """
        target = Path(path)
        if target.is_dir():
            raise GradscopeError(f"{target} is a directory; give a file such as explorer.html")
        page = self._page(megabytes, frame=False)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, page.encode())
        return target

    def _page(self, megabytes: float, *, frame: bool) -> str:
        """The whole page, for a frame or by itself."""
        if not megabytes > 0:
            raise GradscopeError(f"megabytes should be above 0, got {megabytes}")
        part = explorer_html(self.tables, round(1e6 * megabytes), keeps_address=not frame)
        if part is None:
            wanted = dict.fromkeys(name for source in SOURCES.values() for name in source.tables)
            raise NothingToDrawError(
                "nothing was measured that the explorer shows: it needs one of the probes "
                f"{', '.join(wanted)}"
            )
        template = _HERE / ("frame.html" if frame else "page.html")
        content = {"title": self.title, "explorer": part, "notes": self.notes}
        return str(filled(template, content))


def explorer(
    run: HasTables | Measurable | Tables,
    *,
    title: str | None = None,
    height: int | None = None,
    megabytes: float = _MEGABYTES,
) -> Explorer:
    """The interactive explorer of a report, as the value of a notebook's cell.

        gradscope.explorer(run)
        gradscope.explorer(run).save("explorer.html")  # the same as a page

    It works without a network and without widgets, in Jupyter, marimo, VS Code and a notebook
    exported as HTML.

    Args:
        run: a run; a scope, whose last recording is then measured as for its report, for a
            minute at most; or tables.
        title: above it; None is the run's name.
        height: of its frame in CSS pixels; None is as high as it needs to be.
        megabytes: of numbers in it, before they are squeezed to about half. A run that has more is
            thinned: a line in the explorer says what is left out.

    Raises:
        NothingToDrawError: if nothing was measured that it shows.
        GradscopeError: for something else than a run, a scope or tables, if nothing is recorded, or
            for a height or megabytes that are not above 0.
    """
    if height is not None and height <= 0:
        raise GradscopeError(f"height should be above 0, CSS pixels, got {height}")
    tables = _tables(run)
    notes = run.left_out if isinstance(run, Measurable) else ()
    return Explorer(tables, title or _name(run), height=height, megabytes=megabytes, notes=notes)


def _tables(run: object) -> Tables:
    """What is shown, in whichever way it was given.

    Raises:
        GradscopeError: for something else.
    """
    if isinstance(run, Tables):
        return run
    if isinstance(run, Measurable):
        return run.measure_in_full()
    tables = getattr(run, "tables", None)
    if isinstance(tables, Tables):
        return tables
    raise GradscopeError(
        f"explorer() takes a run, a scope or tables, got {type(run).__name__}; "
        "gradscope.open_run(path) opens a run"
    )


def _name(run: object) -> str:
    """The name of a run, or of a scope's model."""
    model = getattr(run, "model", None)
    name = getattr(run, "name", None)
    if isinstance(name, str):
        return name
    return "recordings" if model is None else type(model).__name__
