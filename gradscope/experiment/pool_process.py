"""A process that runs trials, as the process that started it sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from types import MappingProxyType

import psutil

import gradscope.errors
from gradscope.components import registry
from gradscope.components.plugins import modules_of_plugins
from gradscope.components.signals import taken
from gradscope.errors import GradscopeError
from gradscope.experiment.schema import Trial
from gradscope.experiment.worker import plugins_needed

#: the search path comes first, so that the process finds what this one does
_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.buffer.readline()); "
    "from gradscope.experiment.pool_worker import main; main()"
)
_ONE_THREAD = MappingProxyType(
    dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
)
#: lines of what a process prints that are kept
_KEPT = 30


@dataclass(frozen=True)
class Event:
    """What a process says.

    Attributes:
        worker: the process.
        message: what it says; None when it has ended.
    """

    worker: WorkerProcess
    message: Mapping[str, object] | None


def greeting(run: Path, device: str) -> dict[str, object]:
    """What a process is told first: where it records, on which device, and what to import.

    Raises:
        GradscopeError: for a component that was defined where nothing can import it.
    """
    modules = registry.modules_of_others() - modules_of_plugins() - {"__main__", "__mp_main__"}
    return {
        "run": os.fspath(run.absolute()),
        "device": device,
        "plugins": plugins_needed(),
        "modules": sorted(modules),
        "script": _script(),
        "components": sorted(registry.registered_by(["__main__"])),
    }


def _script() -> str | None:
    """The script that was started, if it registers components."""
    components = registry.registered_by(["__main__"])
    if not components:
        return None
    path = getattr(sys.modules["__main__"], "__file__", None)
    if path is None or not Path(path).is_file():
        kind, name = next(iter(components))
        raise GradscopeError(
            f"the {kind} {name!r} is defined in this session, where worker processes cannot import "
            "it from: put it into a file and load that with gradscope.load_plugin, or use one "
            "worker"
        )
    return os.path.abspath(path)


class WorkerProcess:
    """A process, and the trials that it runs.

    Args:
        greeting: what it is told first.
        events: where what it says is put.

    Attributes:
        group: what it was given last, to run as one program.
        trials: those of them that are not over.
        is_busy: whether it has not said yet that all of them are done.
        is_ready: whether it has said that it can be used.
        peak: bytes of memory that it held at most, when looked at.
    """

    def __init__(self, greeting: Mapping[str, object], events: SimpleQueue[Event]):
        self.group: Sequence[Trial] = ()
        self.trials: list[Trial] = []
        self.is_busy = False
        self.is_ready, self.peak = False, 0
        self.printed: deque[str] = deque(maxlen=_KEPT)
        with taken(signal.SIGINT, signal.SIG_IGN):  # Ctrl-C ends the parent, and that ends it
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", _CODE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **_ONE_THREAD},
            )
        self.errors = threading.Thread(target=self._pass_on, daemon=True)
        self.reader = threading.Thread(target=self._listen, args=(events,), daemon=True)
        self.errors.start()
        self.reader.start()
        self._say([path for path in sys.path if isinstance(path, str)])
        self._say(greeting)

    @property
    def is_free(self) -> bool:
        """Whether it can be given trials."""
        return self.is_ready and not self.is_busy

    def give(self, trials: Sequence[Trial]) -> None:
        """Have it run trials, as one program if they are several."""
        self.group, self.trials, self.is_busy = trials, [*trials], True
        self._say({"trials": {trial.id: trial.resolved for trial in trials}})

    def look(self) -> None:
        """Note the memory that it holds."""
        with suppress(psutil.Error):
            self.peak = max(self.peak, psutil.Process(self.process.pid).memory_info().rss)

    def kill(self) -> None:
        """End it, whatever it does, and wait until it is gone."""
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.errors.join()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            with suppress(OSError):  # what it did not read any more
                stream.close()

    # --- how it ended -----------------------------------------------------------------------------

    @property
    def was_killed(self) -> bool:
        """Whether it was ended from outside, and not by a fault of its own."""
        return self.process.returncode == -getattr(signal, "SIGKILL", signal.SIGTERM)

    def how_it_ended(self, times: int) -> str:
        """In words, how it ended, the last of some times."""
        code = self.process.returncode
        if code is not None and code < 0:
            how = f"by signal {-code}, {signal.strsignal(-code) or 'unknown'}"
        else:
            how = f"with exit code {code}"
        return f"its process ended {how}" + (f", {times} times" if times > 1 else "")

    def last_words(self) -> str:
        """The last lines that it printed."""
        return "\n".join(self.printed)

    def error(self, message: Mapping[str, object]) -> GradscopeError:
        """The error that keeps it from running anything."""
        cls = getattr(gradscope.errors, str(message.get("error")), GradscopeError)
        return cls(str(message["unusable"]))

    # --- pipes ------------------------------------------------------------------------------------

    def _say(self, content: object) -> None:
        assert self.process.stdin is not None
        with suppress(OSError, ValueError):  # it is gone; its reader will tell
            self.process.stdin.write(json.dumps(content).encode() + b"\n")
            self.process.stdin.flush()

    def _listen(self, events: SimpleQueue[Event]) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                message = json.loads(line)
            except ValueError:  # cut off in the middle
                break
            events.put(Event(self, message))
        events.put(Event(self, None))

    def _pass_on(self) -> None:
        """Print what it prints, and keep the last lines."""
        assert self.process.stderr is not None
        for raw in self.process.stderr:
            line = raw.decode(errors="replace")
            self.printed.append(line.rstrip())
            with suppress(OSError, ValueError):  # standard error may be closed by now
                sys.stderr.write(line)
