"""Probe: one measurement of a training in progress."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from pydantic import Field

from gradscope.registry import Component
from gradscope.trace import Trace

Columns = dict[str, Any]


class Probe(Component):
    """Base of all probes: a trace in, the columns of a table out; the mathematics is ``gradscope.dynamics``'.

    A probe is asked at train_step 0 (before the first update), every ``every`` optimiser steps, and once after the last.
    """

    every: int | None = Field(None, ge=1, description="optimiser steps between measurements; null: training.steps / 4")

    def due(self, train_step: int, steps: int) -> bool:
        """Whether to measure before the update ``train_step`` of at most ``steps``."""
        return train_step % (self.every or max(1, steps // 4)) == 0

    @abstractmethod
    def measure(self, trace: Trace) -> Columns:
        """The columns of the probe's table: name to equally long sequences, ``train_step`` left to the caller."""


def grid(last: int, points: int) -> list[int]:
    """At most ``points`` integers from 0 to ``last``, evenly spread, both ends among them."""
    return sorted({round(x) for x in np.linspace(0, last, min(points, last + 1))})


def lag_grid(last: int, points: int) -> list[int]:
    """At most ``points`` lags from 0 to ``last``: every small one, then ever wider apart."""
    if last + 1 <= points:
        return list(range(last + 1))
    return sorted({0, *(round(x) for x in np.geomspace(1, last, points - 1))})
