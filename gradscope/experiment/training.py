"""The training of one trial: batches, gradients, clip, optimiser, probes and tests."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence

import torch
from safetensors.torch import save
from torch import Tensor

from gradscope.clips import gradient_norm
from gradscope.dynamics.trace import Update
from gradscope.experiment import seeding
from gradscope.experiment.evaluate import Score, Tests
from gradscope.experiment.model import SequenceModel, build
from gradscope.experiment.outcome import Outcome
from gradscope.experiment.schema import Trial
from gradscope.experiment.truncate import Windows
from gradscope.probes import Probe
from gradscope.tasks import Batch

#: is called with (optimiser steps taken, optimiser steps at most, the latest loss)
Progress = Callable[[int, int, float], None]


class DivergedError(Exception):
    """The loss or the gradient is no longer finite; this ends a trial, and is a result."""


class Training:
    """One training in progress: the model, the optimiser, and what has been recorded so far.

    ``run`` takes all its steps. A population of trainings computes the losses and gradients of all
    of them at once, and has each one ``take`` its own and go ``on``.

    Args:
        trial: what to train.
        device: where.
        progress: called after every optimiser step.
    """

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
        """Train until the trial is solved, has taken all its steps, or diverges."""
        started, cause = time.perf_counter(), ""
        try:
            self.evaluate()
            for batch, loss in self.updates():
                self.step(batch, loss)
                if self.is_over:
                    break
            self.finish()
        except DivergedError as error:
            cause = str(error)
        self.conclude(cause)
        self.outcome.seconds["total"] = time.perf_counter() - started
        return self.outcome

    @property
    def is_over(self) -> bool:
        """Whether it has taken all its steps, or is solved and may stop."""
        training = self.settings.training
        solved = training.stop_on_success and self.steps_to_solve is not None
        return solved or self.train_step == training.steps

    # --- one update -------------------------------------------------------------------------------

    def next_batch(self) -> Batch:
        """Draw the next batch; its windows begin."""
        batch = next(self.batches).to(self.device, self.dtype)
        self.windows.begin(batch)
        return batch

    def updates(self) -> Iterator[tuple[Batch, Tensor]]:
        """(batch, loss) of one update after another, without end."""
        while True:
            batch = self.next_batch()
            yield from ((batch, loss) for loss in self.windows.losses(batch))

    def step(self, batch: Batch, loss: Tensor) -> None:
        """One update.

        Raises:
            DivergedError: if the loss or the gradient is not finite; so do the methods below.
        """
        self.differentiate(loss)
        self.take(batch, loss.item())
        self.optimizer.step()
        self.on(loss.item())

    def differentiate(self, loss: Tensor) -> None:
        """Set the parameters' gradients."""
        self.optimizer.zero_grad()
        if not bool(loss.isfinite()):
            raise DivergedError(f"the loss is {loss.item()}")
        loss.backward()

    def take(self, batch: Batch, loss: float) -> None:
        """Clip the gradients of a loss, measure what is due, and record both."""
        if not math.isfinite(loss):
            raise DivergedError(f"the loss is {loss}")
        steps = self.settings.training.steps
        due = [probe for probe in self.settings.probes if probe.due(self.train_step, steps)]
        norm, coefficient, before = self._clipped(batch, keep=bool(due))
        self._measure(due, batch, before)
        self.outcome.add(
            "training",
            train_step=self.train_step,
            loss=loss,
            grad_norm_preclip=norm,
            grad_norm_postclip=norm * coefficient,
            clip_coefficient=coefficient,
        )

    def on(self, loss: float) -> None:
        """After the optimiser's step: count it, tell of it, and test if a test is due."""
        self.train_step += 1
        self.progress(self.train_step, self.settings.training.steps, loss)
        if self.train_step % self.settings.evaluation.every == 0:
            self.evaluate()

    def finish(self) -> None:
        """After the last update: test and measure."""
        if self.train_step % self.settings.evaluation.every:
            self.evaluate()
        self._final_measurement()
        self._other_lengths()

    def _clipped(self, batch: Batch, *, keep: bool) -> tuple[float, float, dict[str, Tensor]]:
        """Clip the gradients: (norm before, norm after over norm before, copies from before)."""
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
        return float(norm), float(coefficient), before

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
        batch, before = self.next_batch(), {}
        try:
            for loss in self.windows.losses(batch):
                self.differentiate(loss)
                *_, before = self._clipped(batch, keep=True)
        except DivergedError:  # the batch is not trained on, so the trial itself has not diverged
            return
        self._measure(self.settings.probes, batch, before)

    # --- tests ------------------------------------------------------------------------------------

    def evaluate(self) -> None:
        """Test on sequences that it does not train on, and record the score."""
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

    def conclude(self, cause: str) -> None:
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
