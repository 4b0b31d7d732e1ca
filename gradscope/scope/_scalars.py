"""A recording in a few numbers, for loggers."""

from __future__ import annotations

import math

import torch

from gradscope.capture import Recording
from gradscope.dynamics import Trace, adjoints
from gradscope.errors import GradscopeError
from gradscope.scope._measurements import Measurements


def scalars(recording: Recording, measurements: Measurements) -> dict[str, float]:
    """Numbers by name, those that are not finite left out; ``Scope.scalars`` says which."""
    numbers: dict[str, float] = {}
    for name, trace in recording.traces.items():
        if name not in recording.nonfinite:
            numbers |= {f"{name}/{key}": value for key, value in _of_adjoints(trace).items()}
    for measurement in measurements.at("saturation", recording.train_step):
        columns = [measurement.columns[key] for key in ("gate", "low", "high", "mean")]
        for gate, low, high, mean in zip(*columns, strict=True):
            prefix = measurement.recurrence
            numbers[f"{prefix}/saturated/{gate}"] = _number(low) + _number(high)
            numbers[f"{prefix}/mean/{gate}"] = _number(mean)
    norms = recording.gradients.values()
    if norms:
        numbers["grad_norm_preclip"] = math.sqrt(sum(norm.before**2 for norm in norms))
        numbers["grad_norm_postclip"] = math.sqrt(sum(norm.after**2 for norm in norms))
    return {key: value for key, value in numbers.items() if math.isfinite(value)}


def _of_adjoints(trace: Trace) -> dict[str, float]:
    """How much of the gradient is left at the beginning; nothing where none arrived."""
    if trace.immediate is None:
        return {}
    try:
        logs = adjoints(trace).log_norm()
    except GradscopeError:  # a step that cannot be linearised
        return {}
    reached = logs[1:][torch.isfinite(logs[1:])]
    if not len(reached):
        return {}
    return {
        "adjoint_log_ratio": float(logs[1] - logs.max()),
        "log_adjoint_last": float(reached[-1]),
    }


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
