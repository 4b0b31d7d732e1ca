"""Trials that differ in numbers alone, trained as one program with a ``trial`` axis in front.

Small matrix products and the calls around them are what a small recurrent network waits for; the
products of many trials are made at once. Each trial draws its own batches, clips its own gradient,
and is tested, measured and recorded by itself, as it is alone; it leaves when it is over.

What comes of a trial is what comes of it alone, to rounding: a product of many small matrices may
add up in another order, by where in memory each of them lies.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby

import torch
from torch import Tensor, nn

from gradscope.errors import GradscopeError
from gradscope.experiment import seeding
from gradscope.experiment.model import SequenceModel
from gradscope.experiment.outcome import Outcome
from gradscope.experiment.schema import Trial
from gradscope.experiment.stacked import joined, stacked
from gradscope.experiment.training import DivergedError, Training
from gradscope.experiment.truncate import Windows
from gradscope.optimizers import Optimizer
from gradscope.tasks import Batch

#: is called with a trial's id, optimiser steps taken, optimiser steps at most, the latest loss
Advanced = Callable[[str, int, int, float], None]


def run_together(
    trials: Sequence[Trial], *, device: str = "cpu", advanced: Advanced | None = None
) -> Iterator[tuple[Trial, Outcome]]:
    """Train trials that ``kin`` puts together; each with what it leaves, as soon as it is over.

    Args:
        trials: what to train.
        device: the torch device to train on.
        advanced: called for every trial after every optimiser step.

    Raises:
        GradscopeError: if they cannot train together after all, as their batches differ in length
            where backpropagation is truncated; alone they can.
    """
    population = Population(trials, torch.device(device), advanced or (lambda *_: None))
    yield from population.outcomes()


class _Member:
    """A trial of a population.

    Attributes:
        trial: its settings.
        training: what it does by itself.
        is_over: whether it has ended, and only waits for the others' batch to end.
    """

    def __init__(self, trial: Trial, device: torch.device, advanced: Advanced):
        self.trial = trial
        self.training = Training(trial, device, partial(advanced, trial.id))
        self.is_over = False

    def attempt(self, *parts: Callable[[], None]) -> None:
        """Do these parts of a training, which is over if one of them diverges."""
        try:
            for part in parts:
                part()
        except DivergedError as error:
            self.end(str(error))

    def on(self, loss: float) -> None:
        """After an update: go on, and end where all is done."""
        self.training.on(loss)
        if self.training.is_over:
            self.training.finish()
            self.end("")

    def end(self, cause: str) -> None:
        """Record what became of it."""
        self.training.conclude(cause)
        self.is_over = True


class _SharedOptimizer:
    """One optimiser of torch for neighbours in a population whose options are equal.

    Args:
        options: of the optimiser, which works element by element.
        whole: the model of all trials.
        place: where the neighbours stand in it.
    """

    def __init__(self, options: Optimizer, whole: SequenceModel, place: slice):
        self.options, self.place = options, place
        self.parameters: list[nn.Parameter] = []
        for parameter in whole.parameters():
            assert parameter.grad is not None
            part = nn.Parameter(parameter.data[place])
            part.grad = parameter.grad[place]
            self.parameters.append(part)
        self.torch = options.build(self.parameters)

    def inherit(self, before: _SharedOptimizer, rows: Sequence[int]) -> None:
        """Take over what another one remembers, of some rows of its population."""
        kept = [row - before.place.start for row in rows if row in _range(before.place)]
        for parameter, old in zip(self.parameters, before.parameters, strict=True):
            self.torch.state[parameter] = {
                name: value[kept] if value.shape == old.shape else value
                for name, value in before.torch.state[old].items()
            }


def _range(place: slice) -> range:
    return range(place.start, place.stop)


class Population:
    """Trainings that go on update by update together.

    Args:
        trials: that may train together.
        device: where.
        advanced: called for every trial after every optimiser step.

    Attributes:
        members: those that are there, equal optimisers side by side.
        whole: the model of all of them.
        windows: its losses.
        shared: the optimisers that work element by element, one for each kind of options.
    """

    def __init__(self, trials: Sequence[Trial], device: torch.device, advanced: Advanced):
        ordered = sorted(trials, key=lambda trial: repr(trial.settings.optimizer))
        self.members = [_Member(trial, device, advanced) for trial in ordered]
        self._arrange()

    def outcomes(self) -> Iterator[tuple[Trial, Outcome]]:
        """Train until all are over."""
        started = time.perf_counter()
        for member in self.members:
            member.attempt(member.training.evaluate)
        yield from self._leaving(started)
        while self.members:
            started = time.perf_counter()
            self.train_on_a_batch()
            yield from self._leaving(started)

    def _leaving(self, started: float) -> Iterator[tuple[Trial, Outcome]]:
        """Those that are over, after a share of the time since; the others move together."""
        share = (time.perf_counter() - started) / len(self.members)
        for member in self.members:
            member.training.outcome.seconds["total"] += share
        over = [member for member in self.members if member.is_over]
        if over:
            rows = [row for row, member in enumerate(self.members) if not member.is_over]
            self.members = [self.members[row] for row in rows]
            if rows:
                windows, shared = self.windows, self.shared
                self._arrange()
                self.windows.carry_on(windows, rows)
                for new in self.shared:
                    new.inherit(next(old for old in shared if old.options == new.options), rows)
        yield from ((member.trial, member.training.outcome) for member in over)

    def _arrange(self) -> None:
        """Make one model of all members."""
        first = self.members[0].training
        training, clip, seed = first.settings.training, first.settings.clip, first.settings.seed
        self.whole = stacked([member.training.model for member in self.members])
        self.windows = Windows(self.whole, training, clip, seeding.truncation(seed))
        self.shared: list[_SharedOptimizer] = []
        start = 0
        for options, run in groupby(m.trial.settings.optimizer for m in self.members):
            place = slice(start, start := start + len([*run]))
            if options.elementwise:
                self.shared.append(_SharedOptimizer(options, self.whole, place))

    def train_on_a_batch(self) -> None:
        """A batch of every trial, and an update for each of its windows."""
        batches = [member.training.next_batch() for member in self.members]
        whole = joined(batches)
        rounds = self._one_by_one(batches) if whole is None else self._at_once(whole, batches)
        for losses in rounds:
            for member, batch, loss in zip(self.members, batches, losses, strict=True):
                if not member.is_over:
                    member.attempt(partial(member.training.take, batch, loss))
            self._step()
            for member, loss in zip(self.members, losses, strict=True):
                if not member.is_over:
                    member.attempt(partial(member.on, loss))

    def _step(self) -> None:
        for shared in self.shared:
            shared.torch.step()
        for member in self.members:
            if not member.trial.settings.optimizer.elementwise and not member.is_over:
                member.training.optimizer.step()

    # --- losses, with the gradients of each in place ---------------------------------------------

    def _at_once(self, whole: Batch, batches: Sequence[Batch]) -> Iterator[list[float]]:
        """The losses of all trials in one window after another."""
        self.windows.begin(whole)
        for row, member in enumerate(self.members):
            member.training.windows.follow(self.windows, row)
        for losses in self.windows.losses(whole):
            self._clear()
            losses.sum().backward()
            if any(batch.time < whole.time for batch in batches):
                self._without_filling(batches)
            yield losses.tolist()

    def _without_filling(self, batches: Sequence[Batch]) -> None:
        """Compute anew, one by one, what steps behind a sequence's end may have spoilt.

        They add nothing to a gradient, but where their states overflow that is 0 times infinity.
        """
        for member, batch in zip(self.members, batches, strict=True):
            gradients = [p.grad for p in member.training.named.values() if p.grad is not None]
            if not all(bool(gradient.isfinite().all()) for gradient in gradients):
                for gradient in gradients:
                    gradient.zero_()
                _only(member.training.windows.losses(batch)).backward()

    def _one_by_one(self, batches: Sequence[Batch]) -> Iterator[list[float]]:
        """The losses of trials whose batches do not fit together."""
        self._clear()
        losses = [
            _only(member.training.windows.losses(batch))
            for member, batch in zip(self.members, batches, strict=True)
        ]
        for loss in losses:
            loss.backward()
        yield [loss.item() for loss in losses]

    def _clear(self) -> None:
        for parameter in self.whole.parameters():
            assert parameter.grad is not None
            parameter.grad.zero_()


def _only(losses: Iterator[Tensor]) -> Tensor:
    """The loss of a batch that is one window.

    Raises:
        GradscopeError: if it is several.
    """
    first, *others = losses
    if others:
        raise GradscopeError("batches of several windows that differ in length")
    return first
