"""Trains one trial, and begins one to see how long its parts take."""

from __future__ import annotations

import time
from typing import NamedTuple

import torch

from gradscope.experiment.outcome import Outcome
from gradscope.experiment.schema import Trial
from gradscope.experiment.training import DivergedError, Progress, Training
from gradscope.probes import Probe, decomposition_seconds


def run_trial(trial: Trial, *, device: str = "cpu", progress: Progress | None = None) -> Outcome:
    """Train one trial until it is solved, has taken all its steps, or diverges.

    Everything random comes from the generators of ``seeding``; probes draw nothing, so a trial
    trains the same with and without them.

    Args:
        trial: what to train.
        device: the torch device to train on.
        progress: called after every optimiser step.
    """
    return Training(trial, torch.device(device), progress or (lambda *_: None)).run()


class Beginning(NamedTuple):
    """Seconds that parts of a trial take.

    Attributes:
        update: one update, without probes.
        probes: all probes once.
        test: one test.
    """

    update: float
    probes: float
    test: float


def begin(trial: Trial, device: torch.device) -> Beginning:
    """Begin a trial to see how long its parts take: two updates, and a test.

    Probes that are costly say themselves what they cost; the others are measured.
    """
    probes = trial.settings.probes
    cheap = [probe for probe in probes if type(probe).work is Probe.work]
    settings = trial.settings.model_copy(update={"probes": cheap})
    training = Training(trial.model_copy(update={"settings": settings}), device, lambda *_: None)
    spent = training.outcome.seconds
    try:
        training.evaluate()
        updates = training.updates()
        training.step(*next(updates))
        measured, started = spent["probes"], time.perf_counter()
        batch, loss = next(updates)
        training.step(batch, loss)
        update = time.perf_counter() - started - (spent["probes"] - measured)
    except DivergedError:  # a trial that diverges at once is a short one
        return Beginning(0.0, 0.0, 0.0)
    if len(cheap) < len(probes):
        trace = training.model.trace(batch)
        work = sum(probe.work(trace) for probe in probes)
        measured += work * decomposition_seconds(trace)
    return Beginning(update, measured, spent["evaluation"])
