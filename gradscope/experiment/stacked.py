"""One model that has the weights of many along a leading ``trial`` axis, and batches of all."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from jaxtyping import Shaped
from torch import Tensor
from torch.nn import functional as F

from gradscope.experiment.model import SequenceModel
from gradscope.tasks import Batch


def stacked(models: Sequence[SequenceModel]) -> SequenceModel:
    """The models as one; their parameters and gradients become views of its own.

    Whatever changes the weights of one changes the other, and a backward pass through the whole
    leaves each model the gradients of its own loss.

    Args:
        models: of one shape.
    """
    whole = copy.deepcopy(models[0], {id(models[0].task): models[0].task})
    parts = zip(*(model.parameters() for model in models), strict=True)
    for parameter, own in zip(whole.parameters(), parts, strict=True):
        parameter.data = torch.stack([part.detach() for part in own])
        parameter.grad = torch.zeros_like(parameter.data)
        for place, part in enumerate(own):
            part.data, part.grad = parameter.data[place], parameter.grad[place]
    return whole


def joined(batches: Sequence[Batch]) -> Batch | None:
    """The batches as one, along a ``trial`` axis; None where that cannot be.

    Sequences that are shorter than the longest are filled up with zeros behind their end, where
    nothing is scored.

    Args:
        batches: one of each trial.
    """
    first, time = batches[0], max(batch.time for batch in batches)
    shapes = {(batch.steps.shape, batch.targets.shape, batch.continues) for batch in batches}
    if len(shapes) > 1 or (first.continues and any(batch.time < time for batch in batches)):
        return None
    inputs = torch.stack([_filled(batch.inputs, time) for batch in batches], dim=1)
    alike = all(torch.equal(batch.steps, first.steps) for batch in batches)
    steps = first.steps if alike else torch.stack([batch.steps for batch in batches], dim=1)
    targets = torch.stack([batch.targets for batch in batches], dim=1)
    return Batch(inputs, steps, targets, first.continues)


def _filled(inputs: Shaped[Tensor, " steps *rest"], time: int) -> Shaped[Tensor, " time *rest"]:
    missing = time - len(inputs)
    return inputs if not missing else F.pad(inputs, (0, 0) * (inputs.dim() - 1) + (0, missing))
