"""A live report as the process that runs trials sees it: it starts it, and ends it."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from gradscope.components.signals import taken
from gradscope.errors import GradscopeError

#: the search path comes first, so that the process finds what this one does
_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.buffer.readline()); "
    "from gradscope.report.live.drawing import main; main()"
)
#: seconds that the process may take to end by itself
_LEAVE = 20.0


class LiveReport:
    """The report of runs while they run, at an address that only this machine reaches.

        with LiveReport(print) as live:
            print(live.address)
            live.watch(directory.path)
            ...
            live.end("done", page)

    A process of low priority draws and serves it. It never outlives the block, nor this process.

    Args:
        warn: is told once, in a sentence, if the page cannot be drawn.
        port: to serve it on; 0 takes a free one.
        plugins: files of components that figures may need.

    Raises:
        GradscopeError: if it cannot be served.
    """

    def __init__(self, warn: Callable[[str], object], port: int = 0, plugins: Sequence[str] = ()):
        self._warn, self._ended = warn, False
        self._folder = tempfile.TemporaryDirectory(
            prefix="gradscope-live-", ignore_cleanup_errors=True
        )
        with taken(signal.SIGINT, signal.SIG_IGN):  # Ctrl-C ends the run, and the run ends this
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _CODE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"},
            )
        self._tell([path for path in sys.path if isinstance(path, str)])
        # the token goes through the pipe: others on this machine see what a command is called with
        token = secrets.token_urlsafe(32)
        self._tell(
            {"folder": self._folder.name, "token": token, "port": port, "plugins": list(plugins)}
        )
        self._reader = threading.Thread(target=self._listen, daemon=True)
        try:
            self.address = self._first_answer()
        except BaseException:
            self.close()
            raise
        self._reader.start()

    def _first_answer(self) -> str:
        answer = self._answer()
        if answer is None:
            raise GradscopeError("the process of --live ended before it served anything; try again")
        if "unusable" in answer:
            raise GradscopeError(answer["unusable"])
        return answer["address"]

    @property
    def pid(self) -> int:
        """The process that draws and serves."""
        return self._process.pid

    def watch(self, run: Path) -> None:
        """Turn to a run directory, and draw what is recorded in it from now on."""
        self._tell({"watch": os.fspath(run.absolute())})

    def end(self, state: str, report: Path | None) -> None:
        """Let open pages show the end, and close; it takes a few seconds if there are any.

        Args:
            state: done or stopped.
            report: the page at the end, which is shown from now on; None where there is none.
        """
        self._ended = True
        self._tell({"end": state, "report": "" if report is None else os.fspath(report)})
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVE)
        self.close()

    def close(self) -> None:
        """End the process, and remove what it has drawn."""
        self._ended = True
        self._process.kill()
        self._process.wait()
        if self._reader is not threading.current_thread() and self._reader.is_alive():
            self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with suppress(OSError, ValueError):
                stream.close()
        self._folder.cleanup()

    def __enter__(self) -> LiveReport:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.close()

    # --- pipes ------------------------------------------------------------------------------------

    def _tell(self, content: object) -> None:
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):  # it is gone; its reader says so
            self._process.stdin.write(json.dumps(content).encode() + b"\n")
            self._process.stdin.flush()

    def _answer(self) -> dict[str, str] | None:
        """What it says next; None when it has ended."""
        assert self._process.stdout is not None
        try:
            return json.loads(self._process.stdout.readline())
        except ValueError:  # nothing more, or closed
            return None

    def _listen(self) -> None:
        while (answer := self._answer()) is not None:
            if "problem" in answer:
                self._warn(f"the live report cannot be drawn: {answer['problem']}; the run goes on")
        if not self._ended:
            self._warn("the process of the live report has ended; the run goes on without it")
