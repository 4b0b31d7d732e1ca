"""Tests of a model on sequences that it does not train on."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Generator

from gradscope.experiment.model import SequenceModel
from gradscope.experiment.schema import EvaluationSection
from gradscope.tasks import Batch, Task


class Score(NamedTuple):
    """A test.

    Attributes:
        loss: mean over sequences.
        wrong_fraction: of the sequences.
        solved: whether the task's criterion is met.
    """

    loss: float
    wrong_fraction: float
    solved: bool


class Tests:
    """The test sequences, drawn once: at the training's length, and at others asked for.

    Args:
        model: to test.
        task: of the training.
        evaluation: how many sequences, and other lengths.
        generator: of the sequences.
        device: to test on.
        dtype: of the inputs.
    """

    def __init__(
        self,
        model: SequenceModel,
        task: Task,
        evaluation: EvaluationSection,
        generator: Generator,
        device: torch.device,
        dtype: torch.dtype,
    ):
        self.model, self.device, self.dtype = model, device, dtype
        self.tasks: dict[int | None, Task] = {None: task}
        self.tasks |= {length: task.at_length(length) for length in evaluation.lengths}
        self.batches: dict[int | None, list[Batch]] = {
            length: one.test(evaluation.sequences, generator) for length, one in self.tasks.items()
        }

    @torch.no_grad()
    def score(self, length: int | None = None) -> Score:
        """The score at the training's length, or at another one."""
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
