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

#: what a probe's work grows with; it decides where a scope measures it without being asked
Cost = Literal["steps", "vectors", "jacobians"]


class Probe(Component):
    """Base of all probes: from a trace to the columns of a table.

    An experiment measures each of its probes at train_step 0 (before the first update), every
    ``every`` optimiser steps, and once after the last update. The mathematics is in
    ``gradscope.dynamics``.

    >>> import torch
    >>> from gradscope.cells.gru import GRU
    >>> from gradscope.dynamics import unroll
    >>> from gradscope.probes import PROBES
    >>> trace = unroll(GRU(2, hidden_size=4), torch.randn(10, 3, 2))
    >>> columns = PROBES.make("saturation").measure(trace)
    >>> columns["gate"]
    ['r', 'z', 'n']
    """

    component_kind: ClassVar[str] = "probe"

    #: what its work grows with: ``steps``: a scope measures it in every recorded block;
    #: ``vectors``: it forms no Jacobian; ``jacobians``: it forms Jacobians of the full state, so a
    #: scope leaves it out where states are large, unless it is asked for
    cost: ClassVar[Cost] = "jacobians"
    #: whether an experiment that names no probes measures it
    by_default: ClassVar[bool] = False
    #: whether a scope's report measures it on the last recording
    in_report: ClassVar[bool] = False
    #: options with which a scope measures it without being asked, where they are no defaults
    scope_options: ClassVar[Mapping[str, object]] = MappingProxyType({})
    #: place among the measurements, ascending
    order: ClassVar[int] = 1000

    every: int | None = Field(
        None,
        ge=1,
        description=(
            "optimiser steps between two measurements; null: a third of "
            "training.steps; the first and the last weights are always measured"
        ),
    )

    def due(self, train_step: int, steps: int) -> bool:
        """Whether to measure before the update ``train_step`` of at most ``steps``."""
        return train_step % (self.every or max(1, steps // 3)) == 0

    def work(self, trace: Trace) -> float:
        """What it costs to measure, in QR decompositions of a (state, state) matrix, roughly.

        A scope's report asks before it measures, since its time is limited. 0 (as here) is for what
        is always measured: nothing that forms Jacobians.
        """
        return 0.0

    @abstractmethod
    def measure(self, trace: Trace) -> Columns:
        """The columns of the probe's table: name to equally long sequences; {} for no rows.

        The caller adds the column ``train_step``.
        """


#: every probe
PROBES: Kind[Probe, Probe] = Kind("probe")
register = PROBES.register
