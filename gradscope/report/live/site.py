"""What a live report's server has: the page as it was drawn last, its files, and how the run is."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from markupsafe import Markup

from gradscope.errors import GradscopeError
from gradscope.report.live.server import Answer
from gradscope.report.templates import PAGE, filled
from gradscope.results.records import RunDirectory

_HERE = Path(__file__).parent
#: ending of a file to its content type; nothing else is served
_KINDS = {
    ".html": "text/html",
    ".json": "application/json",
    ".csv": "text/csv",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
#: where a page's own content begins: the strip above it says how the run is
_BEGIN, _END = "<header>", "</body>"


@dataclass(frozen=True)
class Status:
    """How a run is.

    Attributes:
        name: of the experiment.
        state: running, done or stopped.
        recorded: trials that are recorded.
        failed: trials that failed.
        trials: of the experiment.
        version: of the page; another one is worth being loaded.
        drawn: when it was drawn, in seconds since 1970; None before the first time.
        drawn_of: how many trials it was drawn of.
        problem: why it could not be drawn anew; "" if it could.
        report: where the report lies at the end; "" where there is none.
    """

    name: str = ""
    state: str = "running"
    recorded: int = 0
    failed: int = 0
    trials: int = 0
    version: int = 0
    drawn: float | None = None
    drawn_of: int = 0
    problem: str = ""
    report: str = ""


class LiveSite:
    """What is served of a run that is watched.

    Args:
        folder: where the page is drawn; it is served from there.
    """

    def __init__(self, folder: Path):
        self._lock = threading.Lock()
        self._folder, self._run = folder, RunDirectory(folder)
        self._status = Status()
        #: whether a page has been sent that says how the run ended
        self.was_shown_the_end = False

    def watch(self, run: RunDirectory, folder: Path) -> None:
        """Turn to a run, which is drawn in a folder."""
        with self._lock:
            self._run, self._folder = run, folder
            self._status = Status(name=run.path.name, version=self._status.version + 1)

    def drawn(self, run: RunDirectory, of: int) -> None:
        """The page of a run has been drawn anew, of so many trials."""
        self._update(run, lambda status: _drawn(status, of))

    def not_drawn(self, run: RunDirectory, problem: str) -> None:
        """The page of a run could not be drawn anew."""
        self._update(run, lambda status: replace(status, problem=problem))

    def end(self, state: str, report: str) -> None:
        """The run is done or stopped; its report, if it has one, is served from now on."""
        with self._lock:
            run, status = self._run, replace(self._status, state=state, report=report)
            if report:
                self._folder = run.path
                status = replace(_drawn(status, len(run.done())), problem="")
            self._status = replace(status, version=status.version + 1)

    def _update(self, run: RunDirectory, change: Callable[[Status], Status]) -> None:
        with self._lock:
            if run is self._run and self._status.state == "running":
                self._status = change(self._status)

    def status(self) -> Status:
        """How the run is now."""
        with self._lock:
            run, status = self._run, self._status
        try:
            manifest, done, failed = run.manifest(), run.done(), run.failures()
        except GradscopeError:  # before it is written, or lost
            return status
        recorded = {trial.id for trial in manifest.trials} & done
        return replace(
            status,
            name=manifest.name,
            trials=len(manifest.trials),
            recorded=len(recorded),
            failed=len(set(failed) - done),
        )

    # --- answers ----------------------------------------------------------------------------------

    def answer(self, name: str) -> Answer | None:
        """What is there under a name; None if nothing is."""
        if name in ("", PAGE):
            return Answer("text/html", self._page().encode())
        if name == "status":
            return Answer("application/json", _json(self.status()).encode())
        path = self._files().get(name)
        if path is None:
            return None
        try:
            return Answer(_KINDS[path.suffix], path.read_bytes())
        except OSError:  # drawn anew this moment
            return None

    def _files(self) -> Mapping[str, Path]:
        """The report's own files, by name."""
        with self._lock:
            folder, run = self._folder, self._run
        own = [folder / "summary.csv", *sorted((folder / "figures").glob("*.*"))]
        found = {path.relative_to(folder).as_posix(): path for path in own}
        found["manifest.json"] = run.manifest_path
        return {
            name: path
            for name, path in found.items()
            if path.suffix in _KINDS and path.is_file() and not path.is_symlink()
        }

    def _page(self) -> str:
        """The page as it was drawn last, with the strip that keeps it up to date."""
        status = self.status()
        self.was_shown_the_end = status.state != "running"
        with self._lock:
            path = self._folder / PAGE
        text = _waiting(status)
        if status.drawn is not None:
            with suppress(OSError):  # it was removed
                text = path.read_text(encoding="utf-8")
        before, begin, content = text.partition(_BEGIN)
        content, end, after = content.rpartition(_END)
        strip = filled(
            _HERE / "strip.html",
            {
                "status": Markup(_json(status)),
                "script": Markup((_HERE / "strip.js").read_text(encoding="utf-8")),
                "style": Markup((_HERE / "strip.css").read_text(encoding="utf-8")),
            },
        )
        return f"{before}{strip}{begin}{content}{end}{after}"


def _drawn(status: Status, of: int) -> Status:
    return replace(status, version=status.version + 1, drawn=time.time(), drawn_of=of, problem="")


def _waiting(status: Status) -> str:
    """The page before the first time that one is drawn."""
    return filled(_HERE / "waiting.html", {"title": status.name or "a run"})


def _json(status: Status) -> str:
    """As JSON that may stand in a page: in JSON a "<" stands in strings alone."""
    return json.dumps(asdict(status)).replace("<", "\\u003c")
