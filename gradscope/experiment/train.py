"""The training loop of one trial; the only caller of backward() and of an optimiser."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from safetensors.torch import save
from torch import Generator, Tensor

from gradscope.clips import Clip, gradient_norm
from gradscope.dynamics import windows
from gradscope.dynamics.trace import Update
from gradscope.experiment.model import SequenceModel, build
from gradscope.experiment.schema import Trial
from gradscope.tasks import Batch

#: (train_step, steps at most, the latest loss)
Progress = Callable[[int, int, float], None]


@dataclass
class Outcome:
    """What a trial left: its tables, column by column, and where its time went.

    ``tables`` and ``weights`` (the model's state dict as safetensors, where it is to be kept)
    depend on the trial's settings alone; ``seconds`` (total, probes, evaluation) on the machine as
    well.
    """

    tables: dict[str, dict[str, list]] = field(default_factory=dict)
    weights: bytes | None = None
    seconds: dict[str, float] = field(
        default_factory=lambda: {"total": 0.0, "probes": 0.0, "evaluation": 0.0}
    )

    def add(self, table: str, **columns: Any) -> None:
        """Append rows; a value that is not a list stands for every row."""
        count = max((len(v) for v in columns.values() if isinstance(v, list | range)), default=1)
        target = self.tables.setdefault(table, {name: [] for name in columns})
        for name, values in columns.items():
            target[name] += values if isinstance(values, list | range) else [values] * count


class Diverged(Exception):
    """The loss or the gradient is no longer a number."""


def run_trial(trial: Trial, *, device: str = "cpu", progress: Progress | None = None) -> Outcome:
    """Train one trial to its end: solved, out of steps, or diverged, which is an outcome like the
    others.

    Everything random comes from generators seeded by (experiment seed, trial id); probes draw
    nothing.
    """
    return _Run(trial, device, progress or (lambda *_: None)).run()


class _Run:
    def __init__(self, trial: Trial, device: str, progress: Progress):
        settings = trial.settings
        self.settings, self.progress, self.device = settings, progress, torch.device(device)
        self.dtype = getattr(torch, settings.dtype)
        self.model: SequenceModel = build(
            settings, generator=_generator(trial, "weights"), device=self.device
        )
        self.named = dict(self.model.named_parameters())
        self.optimizer = settings.optimizer.build(self.model.parameters())
        self.training_generator = _generator(trial, "training")
        training, length = settings.training, settings.training.tbptt_length
        self.tbptt = None if length is None else (length, training.tbptt_stride or length)
        self.tests = self._tests(_generator(trial, "evaluation"))
        self.batches = settings.task.stream(training.batch_size, self.training_generator)
        self.start = self.carried = torch.empty(0)
        self.clip = settings.clip.begin(self.named)
        self.cut, self.cuts = training.tbptt_random, _generator(trial, "truncation")
        self.outcome, self.train_step, self.steps_to_solve = Outcome(), 0, None
        self.last: dict[str, Any] = {}

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
        except Diverged as error:
            cause = str(error)
        self._conclude(cause)
        self.outcome.seconds["total"] = time.perf_counter() - started
        return self.outcome

    def _may_stop(self) -> bool:
        return self.settings.training.stop_on_success and self.steps_to_solve is not None

    # --- batches, windows, losses -----------------------------------------------------------------

    def _next(self) -> Batch:
        """The next batch; ``self.start`` becomes the state that it begins in."""
        batch = next(self.batches).to(self.device, self.dtype)
        initial = self.model.stack.initial_state(batch.inputs.shape[1])
        self.start = (
            self.carried if batch.continues and self.carried.shape == initial.shape else initial
        )
        return batch

    def _updates(self) -> Iterator[tuple[Batch, Tensor]]:
        """(batch, loss) for every update to come: one a batch, or one for each window of TBPTT that
        holds a loss.
        """
        while True:
            batch = self._next()
            yield from ((batch, loss) for loss in self._losses(batch))

    def _losses(self, batch: Batch) -> Iterator[Tensor]:
        """The losses of a batch, each with its graph; weights may change between two of them.

        A window starts from the state that the weights of its time made. Every loss is a share of
        the mean over the batch's scored steps and sequences, so that at fixed weights the windows'
        gradients add up to the truncated one.
        """
        model, stack = self.model, self.model.stack
        state = self.start
        stretches = windows(batch.time, *(self.tbptt or (batch.time, batch.time)))
        for (start, stop, scored_from), after in zip(
            stretches, [*stretches[1:], None], strict=True
        ):
            next_start = after[0] if after is not None else stop
            scored = (batch.steps >= scored_from) & (batch.steps < stop)
            if not bool(scored.any()):
                with torch.no_grad():
                    if next_start > start:
                        state = stack.outputs(model.embed(batch.inputs[start:next_start]), state)[1]
                continue
            inputs = model.embed(batch.inputs[start:stop])
            split = next_start - start
            hidden, last = (
                self._outputs(inputs[:split], state) if split else (inputs.new_empty(0), state)
            )
            if split < stop - start:
                rest, _ = self._outputs(inputs[split:], last)
                hidden = torch.cat((hidden, rest)) if split else rest
            outputs = model.readout(hidden[batch.steps[scored] - start])
            losses = model.task.score(outputs, batch.targets[scored])
            yield losses.sum() / (len(batch.steps) * losses.shape[1])
            state = last.detach()
        self.carried = state

    def _outputs(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """h_t and the last state; step by step where something is done to the adjoint on its way
        back.
        """
        stack = self.model.stack
        if not self.settings.clip.inside and self.cut is None:
            return stack.outputs(inputs, state)
        hidden = []
        for x in inputs.unbind(0):
            state = stack(x, _OnTheWayBack.apply(state, self._rule()))  # type: ignore[arg-type]
            hidden.append(stack.hidden(state))
        return torch.stack(hidden), state

    def _rule(self) -> Callable[[Tensor], Tensor]:
        """What happens to the adjoint at one step: a clip's rule; with ARTBP a cut by chance, or
        else the factor for it.
        """
        clip, chance = self.settings.clip.clip_adjoint, self.cut
        if chance is None:
            return clip
        goes_on = float(torch.rand((), generator=self.cuts) >= chance)
        return lambda adjoint: clip(adjoint * (goes_on / (1 - chance)))

    # --- one update -------------------------------------------------------------------------------

    def _term(self, batch: Batch) -> Tensor | None:
        """What the clip adds to the loss, made of the whole batch's unroll."""
        if type(self.settings.clip).term is Clip.term:
            return None
        return self.settings.clip.term(self.model.trace(batch, state=self.start))

    def _backward(
        self, batch: Batch, loss: Tensor, keep: bool
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """(norm before the clip, coefficient, copies of the gradients before it where they are to
        be kept).
        """
        self.optimizer.zero_grad()
        if not bool(loss.isfinite()):
            raise Diverged(f"the loss is {loss.item()}")
        loss.backward()
        if (term := self._term(batch)) is not None:
            term.backward()
        for parameter in self.named.values():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [p.grad for p in self.named.values() if p.grad is not None]
        norm = gradient_norm(gradients)
        if not bool(norm.isfinite()):
            raise Diverged(f"the gradient's norm is {float(norm)}")
        before = (
            {name: p.grad.clone() for name, p in self.named.items() if p.grad is not None}
            if keep
            else {}
        )
        return norm, self.clip(gradients, norm), before

    def _step(self, batch: Batch, loss: Tensor) -> None:
        due = [
            probe
            for probe in self.settings.probes
            if probe.due(self.train_step, self.settings.training.steps)
        ]
        norm, coefficient, before = self._backward(batch, loss, keep=bool(due))
        self._measure(due, batch, before)
        before_clip, factor = float(norm), float(coefficient)
        self.outcome.add(
            "training",
            train_step=self.train_step,
            loss=loss.item(),
            grad_norm_preclip=before_clip,
            grad_norm_postclip=before_clip * factor,
            clip_coefficient=factor,
        )
        self.optimizer.step()
        self.train_step += 1
        self.progress(self.train_step, self.settings.training.steps, loss.item())

    def _measure(self, probes: list[Any], batch: Batch, before: dict[str, Tensor]) -> None:
        if not probes:
            return
        started = time.perf_counter()
        after = {
            name: gradient for name in before if (gradient := self.named[name].grad) is not None
        }
        trace = self.model.trace(
            batch,
            state=self.start,
            tbptt=self.tbptt,
            update=Update(before, after),
            train_step=self.train_step,
        )
        for probe in probes:
            columns = probe.measure(trace)
            if columns:
                self.outcome.add(
                    probe.name,
                    train_step=[self.train_step] * len(next(iter(columns.values()))),
                    **columns,
                )
        self.outcome.seconds["probes"] += time.perf_counter() - started

    def _final_measurement(self) -> None:
        """Measure once more after the last update, on the gradient of one more batch, which is not
        applied.
        """
        if not self.settings.probes:
            return
        batch, before = self._next(), {}
        try:
            for loss in self._losses(batch):
                _, _, before = self._backward(batch, loss, keep=True)
        except Diverged:  # of a batch that is not trained on: no reason to call the trial diverged, but nothing to measure
            return
        self._measure(list(self.settings.probes), batch, before)

    # --- evaluation -------------------------------------------------------------------------------

    def _tests(self, generator: Generator) -> dict[int | None, list[Batch]]:
        """The test sequences, drawn once: at the training's length (None) and at the other lengths
        asked for.
        """
        tasks = {None: self.settings.task} | {
            n: self.settings.task.at_length(n) for n in self.settings.evaluation.lengths
        }
        return {
            length: task.test(self.settings.evaluation.sequences, generator)
            for length, task in tasks.items()
        }

    @torch.no_grad()
    def _test(self, length: int | None) -> tuple[float, float]:
        """(mean loss, fraction of wrong sequences)."""
        loss, wrong, sequences = 0.0, 0.0, 0
        for batch in self.tests[length]:
            batch = batch.to(self.device, self.dtype)
            outputs = self.model(batch)
            count = outputs.shape[1]
            loss += float(self.model.task.score(outputs, batch.targets).double().mean()) * count
            wrong += float(self.model.task.wrong(outputs, batch.targets).double().sum())
            sequences += count
        return loss / sequences, wrong / sequences

    def _evaluate(self) -> None:
        started = time.perf_counter()
        loss, wrong = self._test(None)
        if loss != loss or loss in (float("inf"), float("-inf")):
            raise Diverged(f"the test loss is {loss}")
        solved = self.settings.task.solved(loss, wrong)
        if solved and self.steps_to_solve is None:
            self.steps_to_solve = self.train_step
        self.last = {"loss": loss, "wrong_fraction": wrong, "solved": solved}
        self.outcome.add(
            "evaluation",
            train_step=self.train_step,
            **self.last,
            **self.settings.task.measures(loss),
        )
        self.outcome.seconds["evaluation"] += time.perf_counter() - started

    def _other_lengths(self) -> None:
        for length in self.settings.evaluation.lengths:
            loss, wrong = self._test(length)
            task = self.settings.task.at_length(length)
            self.outcome.add(
                "lengths",
                length=length,
                loss=loss,
                wrong_fraction=wrong,
                baseline=task.baseline,
                solved=task.solved(loss, wrong),
            )

    def _conclude(self, cause: str) -> None:
        task = self.settings.task
        for reference, loss in task.references().items():
            self.outcome.add("references", reference=reference, loss=loss, **task.measures(loss))
        if self.settings.training.save_weights and not cause:
            # clones, because tied weights share their memory
            self.outcome.weights = save(
                {n: v.detach().cpu().clone() for n, v in self.model.state_dict().items()}
            )
        solved = bool(self.last.get("solved")) or (self.steps_to_solve is not None and not cause)
        self.outcome.add(
            "trials",
            outcome="diverged" if cause else "solved" if solved else "unsolved",
            cause=cause,
            steps=self.train_step,
            steps_to_solve=(
                float("nan") if self.steps_to_solve is None or cause else float(self.steps_to_solve)
            ),
            final_loss=float("nan") if cause else self.last.get("loss", float("nan")),
            wrong_fraction=float("nan") if cause else self.last.get("wrong_fraction", float("nan")),
            baseline=self.settings.task.baseline,
            loss_unit={"mse": "mean squared error", "cross_entropy": "nats"}[
                self.settings.task.loss
            ],
            parameters=sum(p.numel() for p in self.named.values()),
            **({} if cause else task.measures(self.last.get("loss", float("nan")))),
        )


class _OnTheWayBack(torch.autograd.Function):
    """The identity, whose backward pass applies a rule to what comes back."""

    @staticmethod
    def forward(ctx: Any, state: Tensor, rule: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.rule = rule
        return state.view_as(state)

    @staticmethod
    def backward(ctx: Any, adjoint: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return ctx.rule(adjoint), None


def _generator(trial: Trial, purpose: str) -> Generator:
    return Generator().manual_seed(trial.seed_of(purpose))
