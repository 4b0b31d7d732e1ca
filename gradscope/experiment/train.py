"""The training loop of one trial: batches, gradients, clip, optimiser, probes and tests."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from safetensors.torch import save
from torch import Tensor

from gradscope.clips import gradient_norm
from gradscope.dynamics.trace import Update
from gradscope.experiment import seeding
from gradscope.experiment.evaluate import Score, Tests
from gradscope.experiment.model import SequenceModel, build
from gradscope.experiment.schema import Trial
from gradscope.experiment.truncate import Windows
from gradscope.probes import Probe, decomposition_seconds
from gradscope.results.columns import Rows
from gradscope.tasks import Batch

#: is called with (optimiser steps taken, optimiser steps at most, the latest loss)
Progress = Callable[[int, int, float], None]


@dataclass
class Outcome:
    """What a trial leaves behind.

    Attributes:
        tables: name to columns; they depend on the trial's settings alone.
        weights: the model's state dict as safetensors, if the trial keeps it.
        seconds: the time spent (total, probes, evaluation), which depends on the machine.
    """

    tables: dict[str, Rows] = field(default_factory=dict)
    weights: bytes | None = None
    seconds: dict[str, float] = field(
        default_factory=lambda: {"total": 0.0, "probes": 0.0, "evaluation": 0.0}
    )

    def add(self, table: str, **columns: object) -> None:
        """Append rows to a table; a value that is no sequence is repeated in every row."""
        self.tables.setdefault(table, Rows()).add(**columns)

    @property
    def fate(self) -> str:
        """What became of the trial: solved, unsolved or diverged."""
        return str(self.tables["trials"]["outcome"][0])


class DivergedError(Exception):
    """The loss or the gradient is no longer finite; this ends a trial, and is a result."""


@dataclass(frozen=True)
class _Gradients:
    """The gradients of one update.

    Attributes:
        norm: their norm before the clip.
        coefficient: the norm after the clip over the norm before.
        before: copies of the gradients before the clip; empty if they are not needed.
    """

    norm: float
    coefficient: float
    before: dict[str, Tensor]


def run_trial(trial: Trial, *, device: str = "cpu", progress: Progress | None = None) -> Outcome:
    """Train one trial until it is solved, has taken all its steps, or diverges.

    Everything random comes from the generators of ``seeding``; probes draw nothing, so a trial
    trains the same with and without them.

    Args:
        trial: what to train.
        device: the torch device to train on.
        progress: called after every optimiser step.
    """
    return _Training(trial, torch.device(device), progress or (lambda *_: None)).run()


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
    training = _Training(trial.model_copy(update={"settings": settings}), device, lambda *_: None)
    spent = training.outcome.seconds
    try:
        training._evaluate()
        updates = training._updates()
        training._step(*next(updates))
        measured, started = spent["probes"], time.perf_counter()
        batch, loss = next(updates)
        training._step(batch, loss)
        update = time.perf_counter() - started - (spent["probes"] - measured)
    except DivergedError:  # a trial that diverges at once is a short one
        return Beginning(0.0, 0.0, 0.0)
    if len(cheap) < len(probes):
        trace = training.model.trace(batch)
        work = sum(probe.work(trace) for probe in probes)
        measured += work * decomposition_seconds(trace)
    return Beginning(update, measured, spent["evaluation"])


class _Training:
    """One training in progress: the model, the optimiser, and what has been recorded so far."""

    def __init__(self, trial: Trial, device: torch.device, progress: Progress):
        settings, seed = trial.settings, trial.settings.seed
        self.settings, self.task = settings, settings.task
        self.progress, self.device = progress, device
        self.dtype = getattr(torch, settings.dtype)
        self.model: SequenceModel = build(settings, generator=seeding.weights(seed), device=device)
        self.named = dict(self.model.named_parameters())
        self.optimizer = settings.optimizer.build(self.model.parameters())
        self.tests = Tests(
            self.model,
            self.task,
            settings.evaluation,
            lambda task: seeding.testing(seed, task),
            device,
            self.dtype,
        )
        batch_size = settings.training.batch_size
        self.batches = self.task.stream(batch_size, seeding.training(seed, self.task, batch_size))
        self.windows = Windows(
            self.model, settings.training, settings.clip, seeding.truncation(seed)
        )
        self.clip = settings.clip.begin(self.named)
        self.outcome, self.train_step = Outcome(), 0
        self.steps_to_solve: int | None = None
        self.last: Score | None = None

    def run(self) -> Outcome:
        started, cause = time.perf_counter(), ""
        try:
            self._evaluate()
            for batch, loss in self._updates():
                self._step(batch, loss)
                if self.train_step % self.settings.evaluation.every == 0:
                    self._evaluate()
                if self.train_step == self.settings.training.steps or self._may_stop():
                    break
            if self.train_step % self.settings.evaluation.every:
                self._evaluate()
            self._final_measurement()
            self._other_lengths()
        except DivergedError as error:
            cause = str(error)
        self._conclude(cause)
        self.outcome.seconds["total"] = time.perf_counter() - started
        return self.outcome

    def _may_stop(self) -> bool:
        return self.settings.training.stop_on_success and self.steps_to_solve is not None

    # --- one update -------------------------------------------------------------------------------

    def _next(self) -> Batch:
        batch = next(self.batches).to(self.device, self.dtype)
        self.windows.begin(batch)
        return batch

    def _updates(self) -> Iterator[tuple[Batch, Tensor]]:
        """(batch, loss) of one update after another, without end."""
        while True:
            batch = self._next()
            yield from ((batch, loss) for loss in self.windows.losses(batch))

    def _step(self, batch: Batch, loss: Tensor) -> None:
        steps = self.settings.training.steps
        due = [probe for probe in self.settings.probes if probe.due(self.train_step, steps)]
        gradients = self._backward(batch, loss, keep=bool(due))
        self._measure(due, batch, gradients.before)
        self.outcome.add(
            "training",
            train_step=self.train_step,
            loss=loss.item(),
            grad_norm_preclip=gradients.norm,
            grad_norm_postclip=gradients.norm * gradients.coefficient,
            clip_coefficient=gradients.coefficient,
        )
        self.optimizer.step()
        self.train_step += 1
        self.progress(self.train_step, steps, loss.item())

    def _backward(self, batch: Batch, loss: Tensor, *, keep: bool) -> _Gradients:
        """Compute the parameters' gradients and clip them."""
        self.optimizer.zero_grad()
        if not bool(loss.isfinite()):
            raise DivergedError(f"the loss is {loss.item()}")
        loss.backward()
        if self.settings.clip.regularises:
            term = self.settings.clip.term(self.model.trace(batch, state=self.windows.start))
            if term is not None:
                term.backward()
        for parameter in self.named.values():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = self._gradients()
        norm = gradient_norm(list(gradients.values()))
        if not bool(norm.isfinite()):
            raise DivergedError(f"the gradient's norm is {float(norm)}")
        before = {name: g.clone() for name, g in gradients.items()} if keep else {}
        coefficient = self.clip(list(gradients.values()), norm)
        return _Gradients(float(norm), float(coefficient), before)

    def _gradients(self) -> dict[str, Tensor]:
        named = {name: parameter.grad for name, parameter in self.named.items()}
        return {name: gradient for name, gradient in named.items() if gradient is not None}

    # --- measurements -----------------------------------------------------------------------------

    def _measure(self, probes: Sequence[Probe], batch: Batch, before: dict[str, Tensor]) -> None:
        if not probes:
            return
        started = time.perf_counter()
        gradients = self._gradients()
        trace = self.model.trace(
            batch,
            state=self.windows.start,
            tbptt=self.windows.tbptt,
            update=Update(before, {name: gradients[name] for name in before}),
            train_step=self.train_step,
        )
        for probe in probes:
            columns = probe.measure(trace)
            if columns:
                count = len(next(iter(columns.values())))
                self.outcome.add(probe.name, train_step=[self.train_step] * count, **columns)
        self.outcome.seconds["probes"] += time.perf_counter() - started

    def _final_measurement(self) -> None:
        """Measure after the last update, on one more batch whose gradient is not applied."""
        if not self.settings.probes:
            return
        batch, before = self._next(), {}
        try:
            for loss in self.windows.losses(batch):
                before = self._backward(batch, loss, keep=True).before
        except DivergedError:  # the batch is not trained on, so the trial itself has not diverged
            return
        self._measure(self.settings.probes, batch, before)

    # --- tests ------------------------------------------------------------------------------------

    def _evaluate(self) -> None:
        started = time.perf_counter()
        score = self.tests.score()
        if not math.isfinite(score.loss):
            raise DivergedError(f"the test loss is {score.loss}")
        if score.solved and self.steps_to_solve is None:
            self.steps_to_solve = self.train_step
        self.last = score
        self.outcome.add(
            "evaluation",
            train_step=self.train_step,
            loss=score.loss,
            wrong_fraction=score.wrong_fraction,
            solved=score.solved,
            **self.task.measures(score.loss),
        )
        self.outcome.seconds["evaluation"] += time.perf_counter() - started

    def _other_lengths(self) -> None:
        for length in self.settings.evaluation.lengths:
            score = self.tests.score(length)
            self.outcome.add(
                "lengths",
                length=length,
                loss=score.loss,
                wrong_fraction=score.wrong_fraction,
                baseline=self.tests.tasks[length].baseline,
                solved=score.solved,
            )

    def _conclude(self, cause: str) -> None:
        """Record what became of the trial; ``cause`` says why it diverged, "" if it did not."""
        for reference, loss in self.task.references().items():
            self.outcome.add(
                "references", reference=reference, loss=loss, **self.task.measures(loss)
            )
        if self.settings.training.save_weights and not cause:
            # clones, because tied weights share their memory, which safetensors refuses
            state = self.model.state_dict().items()
            self.outcome.weights = save({name: v.detach().cpu().clone() for name, v in state})
        nan = float("nan")
        last = self.last if not cause else None
        steps_to_solve = self.steps_to_solve if not cause else None
        solved = bool(self.last and self.last.solved) or steps_to_solve is not None
        loss = nan if last is None else last.loss
        self.outcome.add(
            "trials",
            outcome="diverged" if cause else "solved" if solved else "unsolved",
            cause=cause,
            steps=self.train_step,
            steps_to_solve=nan if steps_to_solve is None else float(steps_to_solve),
            final_loss=loss,
            wrong_fraction=nan if last is None else last.wrong_fraction,
            baseline=self.task.baseline,
            loss_unit=self.task.loss_unit,
            parameters=sum(p.numel() for p in self.named.values()),
            **({} if cause else self.task.measures(loss)),
        )
