"""What the tests of clips share: gradients to clip, and a training whose losses can be clipped."""

from __future__ import annotations

import torch

from gradscope.clips import CLIPS, gradient_norm
from gradscope.experiment import Experiment
from gradscope.experiment.training import Training
from tests.conftest import draw


def gradients(scale: float = 1.0, seed: int = 0) -> list[torch.Tensor]:
    """Three arrays of different sizes."""
    return [
        scale * draw(3, 4, seed=seed),
        5 * scale * draw(4, seed=seed + 1),
        scale * draw(2, 2, seed=seed + 2),
    ]


def clipped(
    spec: object, scale: float = 1.0, seed: int = 0
) -> tuple[list[torch.Tensor], list[torch.Tensor], float]:
    """Gradients before and after a clip, and its coefficient."""
    before, after = gradients(scale, seed), gradients(scale, seed)
    coefficient = CLIPS.make(spec)(after, gradient_norm(before))
    return before, after, float(coefficient)


def training(text: str) -> Training:
    """A small network on the adding problem, in float64."""
    base = (
        "task: {name: adding, length: 12}\ncell: {name: rnn, hidden_size: 5}\n"
        "dtype: float64\nprobes: []\n"
    )
    trial = Experiment.parse(base + text).trials[0]
    return Training(trial, torch.device("cpu"), lambda *_: None)
