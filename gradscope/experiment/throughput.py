"""How many trials to train as one program: measured on the machine at hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import torch

from gradscope.experiment.estimate import least_memory
from gradscope.experiment.pool_memory import available
from gradscope.experiment.population import Population
from gradscope.experiment.schema import Trial
from gradscope.experiment.training import Training
from gradscope.experiment.worker import single_threaded

#: sizes that are tried, until one is clearly worse than the best
_SIZES = (4, 8, 16, 32, 64, 128, 256)
#: updates that are timed for each
_UPDATES = 3
#: how much longer that is
_WORSE = 1.15
#: how much less an update of a trial has to take for trials to train together
_GAIN = 0.9
#: share of the memory that the populations of all workers may take
_SHARE = 0.25


def best_size(trials: Sequence[Trial], *, most: int, workers: int, device: str) -> int:
    """The number of these trials that trains fastest as one program; 1 if each is faster alone.

    Args:
        trials: that may train together.
        most: the largest number to try.
        workers: processes that train at the same time, which share the memory.
        device: torch device of every trial.
    """
    where = torch.device(device)
    free = torch.cuda.mem_get_info(where)[0] if where.type == "cuda" else available()
    room = _SHARE * free / max(1, workers) / max(1, least_memory(trials[0].settings))
    most = min(most, len(trials), int(room))
    if most < 2:
        return 1
    samples = [_short(trial) for trial in trials[:most]]
    with single_threaded(), suppress(Exception):  # whatever it is, training will tell
        best, least = 1, _GAIN * _seconds(_alone(samples[0], where), where)
        for size in sorted({*(size for size in _SIZES if size < most), most}):
            population = Population(samples[:size], where, lambda *_: None)
            seconds = _seconds(population.train_on_a_batch, where) / size
            if seconds < least:
                best, least = size, seconds
            if seconds > _WORSE * least:
                break
        return best
    return 1


def _alone(trial: Trial, device: torch.device) -> Callable[[], None]:
    """What takes one update of a trial by itself."""
    training = Training(trial, device, lambda *_: None)
    updates = training.updates()
    return lambda: training.step(*next(updates))


def _seconds(update: Callable[[], None], device: torch.device) -> float:
    """The least seconds of a few updates, after one that is not counted."""
    update()
    times = []
    for _ in range(_UPDATES):
        started = time.perf_counter()
        update()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return min(times)


def _short(trial: Trial) -> Trial:
    """The same trial without what is not an update."""
    settings = trial.settings
    evaluation = settings.evaluation.model_copy(update={"sequences": 1, "lengths": []})
    training = settings.training.model_copy(update={"steps": 10**9})
    changed = {"evaluation": evaluation, "training": training, "probes": []}
    return trial.model_copy(update={"settings": settings.model_copy(update=changed)})
