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
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from gradscope.components import registry
from gradscope.errors import GradscopeError, StorageError
from gradscope.experiment.schema import Trial
from gradscope.experiment.worker import load_unchanged, paced, record_all, trial_of
from gradscope.results.files import remove_own_temporaries
from gradscope.results.records import RunDirectory


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
        for message in _run(tasks.get(), run, greeting["device"], answers):
            _say(answers, message)


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
        GradscopeError: for a component that importing the script does not define.
    """
    plugins, modules, script = (greeting[key] for key in ("plugins", "modules", "script"))
    assert isinstance(plugins, list)
    assert isinstance(modules, list)
    load_unchanged(plugins)
    for name in modules:
        importlib.import_module(name)
    if isinstance(script, str):
        process = multiprocessing.current_process()
        process._inheriting = True  # pyright: ignore[reportAttributeAccessIssue]
        try:
            runpy.run_path(script, run_name="__mp_main__")
        finally:
            del process._inheriting  # pyright: ignore[reportAttributeAccessIssue]
        _check_defined(script, greeting["components"])


def _check_defined(script: str, wanted: object) -> None:
    """Every component of the other process' script is one of this process too.

    It is not where the script is a notebook, whose cells do not run when it is imported.

    Raises:
        GradscopeError: for one that is not.
    """
    assert isinstance(wanted, list)
    there = registry.registered_by(["__mp_main__"])
    for kind, name in wanted:
        if (kind, name) not in there:
            raise GradscopeError(
                f"the {kind} {name!r} is not defined where worker processes import {script}: put "
                "it into a file of its own and load that with gradscope.load_plugin, or use one "
                "worker"
            )


def _run(
    orders: Mapping[str, object], run: RunDirectory, device: str, answers: BinaryIO
) -> Iterator[dict[str, object]]:
    """Run trials that train together, or one; what to say of each, and that all are done."""

    def advanced(trial_id: str, step: int, steps: int, loss: float) -> None:
        _say(answers, {"progress": [trial_id, step, steps, loss]})

    settings = orders["trials"]
    assert isinstance(settings, dict)
    trials: list[Trial] = []
    for trial_id, resolved in settings.items():
        try:
            trials.append(trial_of(resolved, trial_id))
        except GradscopeError as error:
            run.write_failure(trial_id, f"{type(error).__name__}: {error}")
            yield {"outcome": [trial_id, "failed"]}
    try:
        for outcome in record_all(trials, run, device, paced(advanced)):
            yield {"outcome": outcome}
    except StorageError as error:
        yield {"no_room": str(error)}
    yield {"done": True}


def _say(answers: BinaryIO, message: Mapping[str, object]) -> None:
    answers.write(json.dumps(message).encode() + b"\n")
    answers.flush()
