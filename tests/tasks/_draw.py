"""What the tests of tasks share: a task by its options, and a seeded generator."""

from __future__ import annotations

import torch

from gradscope.tasks import TASKS, Batch, Task


def generator(seed: int = 0) -> torch.Generator:
    """A generator with this seed."""
    return torch.Generator().manual_seed(seed)


def sample(spec: object, seed: int = 0, count: int = 20) -> tuple[Task, Batch]:
    """A task, and ``count`` of its sequences."""
    task = TASKS.make(spec)
    return task, task.sample(count, generator(seed))
