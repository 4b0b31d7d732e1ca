"""What a process of the pool does: read trials from a pipe, run them, and say what became of them.

Each message is a line of JSON. Whatever a trial prints goes to standard error, so that standard
output carries messages alone.
"""

from __future__ import annotations

import importlib
import io
import json
import multiprocessing
import os
import queue
import runpy
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from gradscope.components.options import validated
from gradscope.components.plugins import load_plugin
from gradscope.errors import GradscopeError, PluginError, StorageError
from gradscope.experiment.schema import Settings
from gradscope.experiment.worker import check_unchanged, record
from gradscope.results.files import remove_own_temporaries
from gradscope.results.records import RunDirectory

#: seconds between two messages about a trial's progress
_PACE = 0.5


def main() -> None:
    """Run the trials that come, until the process that sends them is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    orders, answers = _pipes()
    greeting = json.loads(orders.readline())
    run = RunDirectory(greeting["run"])
    tasks: queue.SimpleQueue[dict[str, object]] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(orders, tasks, run.path), daemon=True).start()
    try:
        _import(greeting)
    except Exception as error:
        _say(answers, {"unusable": str(error), "error": type(error).__name__})
        return
    _say(answers, {"ready": True})
    while True:
        _say(answers, _done(tasks.get(), run, greeting["device"], answers))


def _pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes to the process that started this one, out of the reach of anything else here."""
    orders = sys.stdin.buffer  # it may have read ahead
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdin = io.StringIO()
    return orders, answers


def _receive(orders: BinaryIO, tasks: queue.SimpleQueue[dict[str, object]], folder: Path) -> None:
    """Pass on what is asked for; end this process at once when who asks is gone."""
    for line in orders:
        tasks.put(json.loads(line))
    remove_own_temporaries(folder)
    os._exit(1)


def _import(greeting: Mapping[str, object]) -> None:
    """Register the components that the other process has.

    Raises:
        PluginError: for a plugin that has changed since.
    """
    plugins, modules, script = (greeting[key] for key in ("plugins", "modules", "script"))
    assert isinstance(plugins, list)
    assert isinstance(modules, list)
    for path, sha256 in plugins:
        if load_plugin(path).sha256 != sha256:
            raise PluginError(f"{path}: has changed since the run began")
    for name in modules:
        importlib.import_module(name)
    if isinstance(script, str):
        process = multiprocessing.current_process()
        process._inheriting = True  # pyright: ignore[reportAttributeAccessIssue]
        try:
            runpy.run_path(script, run_name="__mp_main__")
        finally:
            del process._inheriting  # pyright: ignore[reportAttributeAccessIssue]


def _done(
    task: Mapping[str, object], run: RunDirectory, device: str, answers: BinaryIO
) -> dict[str, object]:
    """Run a trial; what to say of it."""
    settings, trial_id, last = task["settings"], str(task["id"]), 0.0
    assert isinstance(settings, dict)

    def progress(step: int, steps: int, loss: float) -> None:
        nonlocal last
        if time.monotonic() - last > _PACE:
            last = time.monotonic()
            _say(answers, {"progress": json.dumps([step, steps, loss])})

    try:
        resolved = validated(Settings, settings, owner="the experiment")
        trial = check_unchanged(resolved, trial_id)
        return {"outcome": record(trial, run, device, progress)}
    except StorageError as error:
        return {"no_room": str(error)}
    except GradscopeError as error:
        run.write_failure(trial_id, f"{type(error).__name__}: {error}")
        return {"outcome": "failed"}


def _say(answers: BinaryIO, message: Mapping[str, object]) -> None:
    answers.write(json.dumps(message).encode() + b"\n")
    answers.flush()
