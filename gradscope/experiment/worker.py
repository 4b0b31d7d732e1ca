"""One trial from its settings to its shards on disk, in whatever process it runs."""

from __future__ import annotations

import re
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch

from gradscope.components.options import validated
from gradscope.components.plugins import load_plugin, plugins_of_runs
from gradscope.components.quantities import memory
from gradscope.errors import GradscopeError, PluginError, StorageError
from gradscope.experiment.outcome import Outcome
from gradscope.experiment.population import Advanced, run_together
from gradscope.experiment.schema import Settings, Trial
from gradscope.experiment.train import run_trial
from gradscope.experiment.training import Progress
from gradscope.results.ledger import settings_digest
from gradscope.results.manifest import TrialEntry
from gradscope.results.records import RunDirectory

#: seconds between two messages about a trial's progress
_PACE = 0.5


def record(trial: Trial, run: RunDirectory, device: str, progress: Progress) -> str:
    """Train a trial and write its shards, or, if it fails, the reason.

    Returns:
        What became of it: solved, unsolved, diverged or failed.

    Raises:
        StorageError: if nothing can be written; the trial is not recorded then.
    """
    try:
        check_unchanged(trial.settings, trial.id)
        outcome = run_trial(trial, device=device, progress=progress)
        return _written(trial, outcome, run, ())
    except StorageError:  # no fault of the trial's, nor one that the next trial would not meet
        raise
    except Exception as error:
        run.write_failure(trial.id, _why(error), traceback.format_exc())
        return "failed"


def record_all(
    trials: Sequence[Trial], run: RunDirectory, device: str, advanced: Advanced
) -> Iterator[tuple[str, str]]:
    """Train trials that may train together, and write the shards of each when it is over.

    Those that are recorded already train with the others, whose last digits depend on them, and are
    not written again. Where trials cannot train together after all, which is said, those that are
    left train one by one.

    Yields:
        The id of a trial that was not recorded, and what became of it.

    Raises:
        StorageError: if nothing can be written.
    """
    left = {trial.id: trial for trial in trials if not run.ledger_is_there(trial.id)}

    def told(trial_id: str, step: int, steps: int, loss: float) -> None:
        if trial_id in left:
            advanced(trial_id, step, steps, loss)

    if len(trials) > 1 and left:
        ids = [trial.id for trial in trials]
        try:
            for trial in trials:
                check_unchanged(trial.settings, trial.id)
            for trial, outcome in run_together(trials, device=device, advanced=told):
                if trial.id in left:
                    fate = _written(trial, outcome, run, ids)
                    del left[trial.id]
                    yield trial.id, fate
        except StorageError:
            raise
        except Exception as error:
            why = f"{len(left)} trials do not train together, and do one by one: {_why(error)}"
            warnings.warn(why, RuntimeWarning, stacklevel=2)
    for trial in [*left.values()]:
        yield trial.id, record(trial, run, device, partial(advanced, trial.id))


def _written(trial: Trial, outcome: Outcome, run: RunDirectory, together: Sequence[str]) -> str:
    """What became of a trial, whose shards are written."""
    run.write_trial(
        trial.id,
        outcome.tables,
        outcome.seconds,
        outcome.weights,
        settings=settings_digest(entry_of(trial)),
        together=together,
    )
    return outcome.fate


#: how torch says that memory is wanting, on the CPU and on a device
_ASKED = re.compile(r"[Tt]ried to allocate ([\d.]+) ?(\w+)")


def _why(error: Exception) -> str:
    """Why a trial failed, in a sentence."""
    said = f"{type(error).__name__}: {error}"
    asked = _ASKED.search(said)
    if asked is None and not isinstance(error, MemoryError):
        return said
    amount = ""
    if asked is not None:
        number, unit = asked[1], asked[2]
        much = memory(int(number)) if unit == "bytes" else f"{number} {unit}"
        amount = f"it asked for {much} at once. "
    return f"out of memory: {amount}A smaller hidden_size, batch_size or length needs less ({said})"


def entry_of(trial: Trial) -> TrialEntry:
    """What a manifest says of a trial."""
    return TrialEntry(
        id=trial.id,
        configuration=trial.configuration,
        axes=trial.axes,
        settings=trial.resolved,
        contents=trial.settings.task.contents,
        draws=trial.draws,
    )


#: path of each plugin that a run needs, and its SHA-256
Plugins = Sequence[tuple[str, str]]


def plugins_needed() -> list[tuple[str, str]]:
    """The plugins that another process has to load for trials of this one."""
    return [(str(plugin.path), plugin.sha256) for plugin in plugins_of_runs()]


def load_unchanged(plugins: Plugins) -> None:
    """Load them.

    Raises:
        PluginError: for one that has changed since.
    """
    for path, sha256 in plugins:
        if load_plugin(path).sha256 != sha256:
            raise PluginError(f"{path}: has changed since the run began")


def trial_of(resolved: dict[str, object], trial_id: str, owner: str = "the experiment") -> Trial:
    """The trial of plain settings, as ``Trial.resolved`` gives them.

    Raises:
        ConfigError: for settings that this version does not know.
        GradscopeError: as ``check_unchanged``.
    """
    return check_unchanged(validated(Settings, resolved, owner=owner), trial_id)


def paced(told: Advanced) -> Advanced:
    """Progress that is passed on at most twice a second of each trial."""
    last: dict[str, float] = {}

    def advanced(trial_id: str, step: int, steps: int, loss: float) -> None:
        now = time.monotonic()
        if now - last.get(trial_id, 0.0) > _PACE:
            last[trial_id] = now
            told(trial_id, step, steps, loss)

    return advanced


def check_unchanged(settings: Settings, trial_id: str) -> Trial:
    """The trial of these settings, if it still is the one of that id.

    Raises:
        GradscopeError: if a file that the task reads has other contents than when the run began.
    """
    trial = Trial(settings=settings, configuration="", axes={})
    if trial.id != trial_id:
        path = getattr(settings.task, settings.task.path_option, "the settings of the trial")
        raise GradscopeError(
            f"{path}: has changed since the run began; put it back, or start a new run"
        )
    return trial


@contextmanager
def single_threaded() -> Iterator[None]:
    """A context in which torch uses one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
