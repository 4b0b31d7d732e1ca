"""The process of a live report: it draws the page again and again, and serves it.

Its orders come through a pipe, a line of JSON each; when the pipe ends, whoever started it is gone,
and so is this process at once, whatever it does.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import psutil

from gradscope.errors import GradscopeError
from gradscope.report.live.server import Server
from gradscope.report.live.site import LiveSite
from gradscope.results.records import RunDirectory

#: how much the system prefers other processes to this one: to trainings, a tenth is left for it
_NICE = 10
#: seconds between two looks at what is recorded, and least seconds between two drawings
_LOOK, _REST = 0.5, 2.0
#: seconds after which nobody has the page open any more, and that open ones have to learn the end
_ASLEEP, _LAST_LOOK = 6.0, 5.0
#: the same while one is being sent, on a machine that is slow or busy
_AT_MOST = 15.0
#: seconds between two questions of an open page, and that one takes to be loaded anew
_EVERY, _RELOADING = 2.2, 0.8


def main() -> None:
    """Draw and serve the runs that come, until the process that names them is gone."""
    orders, answers = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    greeting = json.loads(orders.readline())
    _give_way()
    folder = Path(greeting["folder"])
    site = LiveSite(folder)
    try:
        server = Server(site, greeting["token"], greeting["port"])
    except GradscopeError as error:
        say(answers, {"unusable": str(error)})
        return
    drawing = Drawing(folder, site, server, answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Thread(target=drawing.keep_drawing, args=(greeting["plugins"],), daemon=True).start()
    say(answers, {"address": server.address})
    for line in orders:
        drawing.take(json.loads(line))
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def _give_way() -> None:
    """Leave processors to trainings, which are what this is about."""
    process = psutil.Process()
    with suppress(psutil.Error, OSError):
        if sys.platform == "win32":
            process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        else:
            process.nice(min(19, process.nice() + _NICE))


def say(answers: BinaryIO, message: Mapping[str, object]) -> None:
    """Tell the process that started this one."""
    with suppress(OSError):
        answers.write(json.dumps(message).encode() + b"\n")
        answers.flush()


class Drawing:
    """Draws the run that is watched when something has been recorded.

    Args:
        folder: to draw in, a folder for each run.
        site: what is served.
        server: that serves it.
        answers: where it is said that something could not be drawn.
    """

    def __init__(self, folder: Path, site: LiveSite, server: Server, answers: BinaryIO):
        self.folder, self.site, self.server, self.answers = folder, site, server, answers
        self.run: RunDirectory | None = None
        self.said = False
        self._runs = 0

    def take(self, order: Mapping[str, str]) -> None:
        """Carry out an order: turn to another run, or end."""
        if "watch" in order:
            self._runs += 1
            run = RunDirectory(order["watch"])
            self.site.watch(run, self.folder / str(self._runs))
            self.run = run
        else:
            self.run = None
            self.site.end(order["end"], order["report"])
            self._let_pages_learn_it()
            os._exit(0)

    def _let_pages_learn_it(self) -> None:
        """Stay for as long as a page that is open needs to show the end."""
        ended, rest = time.monotonic(), self.server.rest()
        if rest > _ASLEEP:
            return
        while (passed := time.monotonic() - ended) < _AT_MOST and (
            rest == 0.0 or passed < _LAST_LOOK
        ):
            rest = self.server.rest()
            if self.site.was_shown_the_end and passed > _EVERY and rest > _RELOADING:
                return
            time.sleep(0.1)

    def keep_drawing(self, plugins: list[str]) -> None:
        """Draw again and again, with a pause as long as drawing took."""
        self._load(plugins)
        drawn: tuple[RunDirectory, int] | None = None
        while True:
            time.sleep(_LOOK)
            run = self.run
            if run is None:
                continue
            found = run, len(run.done())
            if found == drawn or not found[1]:
                continue
            started, drawn = time.monotonic(), found
            self.draw(run, found[1])
            time.sleep(max(_REST, time.monotonic() - started))

    def draw(self, run: RunDirectory, recorded: int) -> None:
        """Draw a run as it is now; where that fails, the page says why and stays as it was."""
        from gradscope.report.run import write_report

        try:
            write_report(run, folder=self.folder / str(self._runs))
        except Exception as error:
            self._failed(run, error)
        else:
            self.site.drawn(run, recorded)

    def _load(self, plugins: list[str]) -> None:
        """Load components of the user's own: a figure may be among them."""
        from gradscope.components.plugins import load_plugin

        for path in plugins:
            try:
                load_plugin(path)
            except Exception as error:
                self._say(error)

    def _failed(self, run: RunDirectory, error: Exception) -> None:
        self.site.not_drawn(run, _in_words(error))
        self._say(error)

    def _say(self, error: Exception) -> None:
        """Say it once on the terminal; the page says it every time."""
        if not self.said:
            self.said = True
            say(self.answers, {"problem": _in_words(error)})


def _in_words(error: Exception) -> str:
    return str(error) if isinstance(error, GradscopeError) else f"{type(error).__name__}: {error}"
