"""How long the trials of a run will take, and how much memory, from steps that are really taken.

One trial of each shape is begun, as far as a few seconds go: two updates, its probes once and one
test. The others, and those with components that are not gradscope's own, are taken to cost as much
for each number that they compute. Trials may stop early, so that the time is an upper estimate.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil
import torch

from gradscope.components import registry
from gradscope.components.base import class_of, components_in
from gradscope.components.quantities import duration
from gradscope.components.quantities import memory as in_words
from gradscope.experiment.pool_memory import available
from gradscope.experiment.schema import Settings, Trial
from gradscope.experiment.sizes import parts_of, update_work
from gradscope.experiment.train import Beginning, begin
from gradscope.experiment.worker import single_threaded

#: seconds that estimating may take, as far as it can be told beforehand
_BUDGET = 3.0
#: beyond this share of the memory no step is tried out
_SHARE = 0.5
#: seconds until a process of its own can run a trial, roughly
_START = 5.0
#: beyond this many seconds a run is asked about
LONG = 3600.0


@dataclass(frozen=True)
class Estimate:
    """What running trials takes.

    Attributes:
        trials: how many.
        seconds: at most, with the workers given; NaN where memory forbade to try a step.
        memory: bytes, of all workers together.
        available: bytes of memory there are.
        workers: processes that run trials.
    """

    trials: int
    seconds: float
    memory: int
    available: int
    workers: int

    @property
    def is_large(self) -> bool:
        """Whether it should be asked for: more than an hour, or half the memory."""
        return not self.seconds <= LONG or self.memory > _SHARE * self.available

    def __str__(self) -> str:
        share = f"{in_words(self.memory)} of {in_words(self.available)} of memory"
        if math.isnan(self.seconds):
            return f"at least {share}"
        workers = f" with {self.workers} workers" if self.workers > 1 else ""
        return f"at most {duration(self.seconds)}{workers}, about {share}"


def estimated(trials: Sequence[Trial], *, device: str = "cpu", workers: int = 1) -> Estimate | None:
    """What running these trials takes; None where there are none, or none could be begun.

    Args:
        trials: to run.
        device: torch device of every trial.
        workers: processes that run them.
    """
    if not trials:
        return None
    workers = max(1, min(workers, len(trials)))
    total = available()
    needs = [least_memory(trial.settings) for trial in trials]
    if max(needs) * workers > _SHARE * total:
        return Estimate(len(trials), math.nan, max(needs) * workers, total, workers)
    shapes = {_shape(trial.settings): trial for trial in trials}
    work = {shape: update_work(trial.settings) for shape, trial in shapes.items()}
    known = [shape for shape, trial in shapes.items() if _is_known(trial.settings)]
    begun: dict[str, Beginning] = {}
    started = time.perf_counter()
    with single_threaded():
        for shape in sorted(known, key=lambda shape: work[shape]):
            if begun and time.perf_counter() - started > _BUDGET:
                break
            with suppress(Exception):  # whatever it is, running the trial will tell
                begun[shape] = begin(shapes[shape], torch.device(device))
    if not begun:
        return None
    held = psutil.Process().memory_info().rss
    seconds = sum(_seconds(trial, work, begun) for trial in trials)
    memory = workers * held + sum(sorted(needs, reverse=True)[:workers])
    start = _START if workers > 1 else 0.0
    return Estimate(len(trials), start + seconds / workers, memory, total, workers)


def _shape(settings: Settings) -> str:
    """What tells trials apart that cost unlike: not their seed, nor how many updates they take."""
    probes = [probe.name for probe in settings.probes]
    training = settings.training.model_copy(update={"steps": 1})
    sequences = settings.evaluation.sequences
    parts = settings.dtype, settings.task, settings.cell, settings.model, settings.clip.name
    return repr((*parts, training, sequences, probes))


def _is_known(settings: Settings) -> bool:
    """Whether a trial can be begun in this process: components of others may do anything to it."""
    return all(registry.is_own(class_of(type(part))) for part in components_in(settings))


def least_memory(settings: Settings) -> int:
    """Bytes that a trial holds at least: weights, gradients, an optimiser's averages, sequences."""
    width = getattr(torch, settings.dtype).itemsize
    weights, *sequences = (part.numbers for part in parts_of(settings))
    return width * (4 * weights + sum(sequences))


def _seconds(
    trial: Trial,
    work: dict[str, float],
    begun: dict[str, Beginning],
) -> float:
    """A trial's time, from the begun trial that is most like it in what an update costs."""
    settings, shape = trial.settings, _shape(trial.settings)
    known = shape if shape in begun else min(begun, key=lambda s: abs(work[s] - work[shape]))
    cost, ratio, steps = begun[known], work[shape] / work[known], settings.training.steps
    tests = 2 + steps // settings.evaluation.every
    return ratio * (steps * cost.update + 4 * cost.probes + tests * cost.test)
