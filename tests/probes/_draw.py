"""What the tests of probes share: a trace of a small network on the adding problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from gradscope.dynamics import Trace, Update
from gradscope.experiment import Experiment
from gradscope.experiment.model import build
from gradscope.probes import PROBES

TEXT = """
task: {name: %s, length: %d}
cell: {name: %s, hidden_size: 5}
dtype: float64
model: {layers: %d}
"""


def trace_of(
    cell: str = "lstm",
    layers: int = 1,
    tbptt: tuple[int, int] | None = None,
    task: str = "adding",
    length: int = 20,
) -> Trace:
    """Four sequences, with made-up gradients before and after a clip."""
    settings = Experiment.parse(TEXT % (task, length, cell, layers)).trials[0].settings
    net = build(settings, generator=torch.Generator().manual_seed(0))
    batch = settings.task.sample(4, torch.Generator().manual_seed(0)).to("cpu", torch.float64)
    gradients = {name: torch.ones_like(p) for name, p in net.named_parameters()}
    update = Update(gradients, {name: g / 2 for name, g in gradients.items()})
    return net.trace(batch, tbptt=tbptt, update=update)


def measured(spec: object, trace: Trace) -> Mapping[str, Sequence[object]]:
    """The columns of a probe."""
    return PROBES.make(spec).measure(trace)


def rows_of(columns: Mapping[str, Sequence[object]]) -> list[dict[str, object]]:
    """A table's rows, each by its columns' names."""
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
