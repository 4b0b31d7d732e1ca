"""Tests of a model on sequences that it does not train on."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator

from gradscope.experiment.model import SequenceModel
from gradscope.experiment.schema import EvaluationSection
from gradscope.tasks import Batch, Task


class Score(NamedTuple):
    """What a test found.

    Attributes:
        loss: mean loss over the sequences.
        wrong_fraction: share of the sequences answered wrongly.
        solved: whether the task's criterion is met.
    """

    loss: float
    wrong_fraction: float
    solved: bool


class Tests:
    """The test sequences of a trial, drawn once: at the training's length and at other lengths.

    Args:
        model: the model to test.
        task: the task that the model is trained on.
        evaluation: how many sequences to draw, and the other lengths.
        generator: of a task, which has the length of the test: draws the sequences.
        device: where to test.
        dtype: precision of the inputs.
    """

    def __init__(
        self,
        model: SequenceModel,
        task: Task,
        evaluation: EvaluationSection,
        generator: Callable[[Task], Generator],
        device: torch.device,
        dtype: torch.dtype,
    ):
        self.model, self.device, self.dtype = model, device, dtype
        self.tasks: dict[int | None, Task] = {None: task}
        self.tasks |= {length: task.at_length(length) for length in evaluation.lengths}
        self.batches: dict[int | None, list[Batch]] = {
            length: at_length.test(evaluation.sequences, generator(at_length))
            for length, at_length in self.tasks.items()
        }

    @torch.no_grad()
    def score(self, length: int | None = None) -> Score:
        """The score at the training's length (None), or at one of the other lengths."""
        loss, wrong, sequences = 0.0, 0.0, 0
        task = self.model.task
        for batch in self.batches[length]:
            moved = batch.to(self.device, self.dtype)
            outputs = self.model(moved)
            count = outputs.shape[1]
            loss += float(task.score(outputs, moved.targets).double().mean()) * count
            wrong += float(task.wrong(outputs, moved.targets).double().sum())
            sequences += count
        loss, wrong = loss / sequences, wrong / sequences
        return Score(loss, wrong, self.tasks[length].solved(loss, wrong))
