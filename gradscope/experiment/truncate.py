"""The losses of a batch: one for full BPTT, one for each window of truncated BPTT."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import cast

import torch
from torch import Generator, Tensor
from torch.autograd.function import FunctionCtx

from gradscope.clips import Clip
from gradscope.dynamics import windows
from gradscope.experiment.model import SequenceModel
from gradscope.experiment.schema import TrainingSection
from gradscope.tasks import Batch

#: what is done to an adjoint on its way back through time
Rule = Callable[[Tensor], Tensor]


class Windows:
    """Unrolls a model over batches, and gives the losses to backpropagate.

    Args:
        model: the model to unroll.
        training: the options of the training, of which the truncation matters here.
        clip: may act on adjoints inside backpropagation.
        cuts: generator that draws the cuts of random truncation.

    Attributes:
        start: the state in which the present batch began.
        tbptt: (length, stride) of the truncation; None for full BPTT.
    """

    def __init__(
        self, model: SequenceModel, training: TrainingSection, clip: Clip, cuts: Generator
    ):
        self.model, self.clip, self.cuts = model, clip, cuts
        self.chance = training.tbptt_random
        length = training.tbptt_length
        self.tbptt = None if length is None else (length, training.tbptt_stride or length)
        self.start = self._carried = torch.empty(0)

    def begin(self, batch: Batch) -> None:
        """Set the state that a batch begins in: zero, or the last state of the batch before."""
        initial = self.model.initial_state(batch)
        goes_on = batch.continues and self._carried.shape == initial.shape
        self.start = self._carried if goes_on else initial

    def follow(self, population: Windows, row: int) -> None:
        """Begin where one trial of a population begins."""
        self.start = population.start[row]
        if population._carried.numel():
            self._carried = population._carried[row]

    def carry_on(self, before: Windows, rows: Sequence[int]) -> None:
        """Go on from the states of some trials of a population."""
        if before._carried.numel():
            self._carried = before._carried[[*rows]]

    def losses(self, batch: Batch) -> Iterator[Tensor]:
        """One loss for the whole batch, or one for each window that holds a scored step.

        With a ``trial`` axis, a loss is one number for each trial.

        The caller may change the weights between two losses; each window starts from the state that
        the weights before it made. Every loss is a share of the mean over the batch's scored steps
        and sequences, so at fixed weights the windows' gradients add up to the truncated gradient.
        """
        state = self.start
        all_windows = windows(batch.time, *(self.tbptt or (batch.time, batch.time)))
        next_starts = [start for start, _, _ in all_windows[1:]]
        for (start, stop, scored_from), following in zip(
            all_windows, [*next_starts, None], strict=True
        ):
            next_start = stop if following is None else following
            part = _window(batch, start, scored_from, stop)
            if not len(part.steps):
                state = self._run(batch, start, next_start, state)
                continue
            hidden, last = self._unrolled(part.inputs, next_start - start, state)
            outputs = self.model.readout(part.scored(hidden))
            losses = self.model.score(outputs, part.targets)
            yield losses.sum((0, -1)) / (len(batch.steps) * losses.shape[-1])
            state = last.detach()
        self._carried = state

    @torch.no_grad()
    def _run(self, batch: Batch, start: int, stop: int, state: Tensor) -> Tensor:
        """The state after steps through which no gradient runs."""
        if stop <= start:
            return state
        return self.model.stack.outputs(self.model.embed(batch.inputs[start:stop]), state)[1]

    def _unrolled(self, inputs: Tensor, first: int, state: Tensor) -> tuple[Tensor, Tensor]:
        """(h of a window's steps, the state after ``first`` of them, where the next one starts)."""
        inputs = self.model.embed(inputs)
        if not first:
            return self._outputs(inputs, state)[0], state
        hidden, last = self._outputs(inputs[:first], state)
        if first < len(inputs):
            rest, _ = self._outputs(inputs[first:], last)
            hidden = torch.cat((hidden, rest))
        return hidden, last

    def _outputs(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """h_t and the last state, computed step by step if anything acts on the adjoint."""
        stack = self.model.stack
        if not self.clip.inside and self.chance is None:
            return stack.outputs(inputs, state)
        hidden = []
        for x in inputs.unbind(0):
            before = _OnTheWayBack.apply(state, self._rule())
            assert isinstance(before, Tensor)
            state = stack(x, before)
            hidden.append(stack.hidden(state))
        return torch.stack(hidden), state

    def _rule(self) -> Rule:
        """What to do to the adjoint at one step: the clip's rule, after ARTBP's cut or factor."""
        clip, chance = self.clip.clip_adjoint, self.chance
        if chance is None:
            return clip
        goes_on = float(torch.rand((), generator=self.cuts) >= chance)
        return lambda adjoint: clip(adjoint * (goes_on / (1 - chance)))


def _window(batch: Batch, start: int, scored_from: int, stop: int) -> Batch:
    """A window of a batch, with the steps that are scored in it, counted from its start."""
    if not scored_from and stop == batch.time:
        return batch
    within = (batch.steps >= scored_from) & (batch.steps < stop)
    inputs, steps = batch.inputs[start:stop], batch.steps[within] - start
    return Batch(inputs, steps, batch.targets[within], batch.continues)


class _Context(FunctionCtx):
    """What the forward pass leaves for the backward pass."""

    rule: Rule


class _OnTheWayBack(torch.autograd.Function):
    """The identity, whose backward pass applies a rule to what comes back."""

    @staticmethod
    def forward(ctx: FunctionCtx, state: Tensor, rule: Rule) -> Tensor:
        cast(_Context, ctx).rule = rule
        return state.view_as(state)

    @staticmethod
    def backward(ctx: FunctionCtx, *adjoints: Tensor) -> tuple[Tensor, None]:
        (adjoint,) = adjoints
        return cast(_Context, ctx).rule(adjoint), None
