"""Probe: one measurement of a training in progress."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

from pydantic import Field

from gradscope.components.base import Component
from gradscope.components.kind import Kind
from gradscope.dynamics.trace import Trace
from gradscope.results.columns import Columns

#: what a probe's work grows with, and so when a scope takes it unasked
Cost = Literal["steps", "vectors", "jacobians"]


class Probe(Component):
    """Base of all probes: a trace in, the columns of a table out.

    The mathematics is that of ``gradscope.dynamics``. A probe is asked at train_step 0 (before the
    first update), every ``every`` optimiser steps, and once after the last.
    """

    component_kind: ClassVar[str] = "probe"

    #: what its work grows with. ``steps``: a scope measures it in every recorded block;
    #: ``vectors``: it forms no Jacobian; ``jacobians``: it forms Jacobians of the full state, which
    #: a scope does not do unasked where states are large
    cost: ClassVar[Cost] = "jacobians"
    #: whether an experiment measures it unless told otherwise
    by_default: ClassVar[bool] = False
    #: whether the report of a scope measures it on the last recording
    in_report: ClassVar[bool] = False
    #: options that differ from their defaults where a scope measures it unasked
    scope_options: ClassVar[Mapping[str, object]] = MappingProxyType({})
    #: place among the measurements, ascending
    order: ClassVar[int] = 1000

    every: int | None = Field(
        None, ge=1, description="optimiser steps between measurements; null: training.steps / 3"
    )

    def due(self, train_step: int, steps: int) -> bool:
        """Whether to measure before the update ``train_step`` of at most ``steps``."""
        return train_step % (self.every or max(1, steps // 3)) == 0

    @abstractmethod
    def measure(self, trace: Trace) -> Columns:
        """The columns of the probe's table: name to equally long sequences; {} for nothing.

        ``train_step`` is left to the caller.
        """


#: every probe
PROBES: Kind[Probe, Probe] = Kind("probe")
register = PROBES.register
