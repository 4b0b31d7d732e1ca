"""Probe: one measurement of a training in progress."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from gradscope.components.registry import Component
from gradscope.dynamics import Norm, Scaled, jacobian_products, log_norm, step_jacobians
from gradscope.dynamics.trace import Trace

Columns = dict[str, Any]


class Probe(Component):
    """Base of all probes: a trace in, the columns of a table out; the mathematics is
    ``gradscope.dynamics``'.

    A probe is asked at train_step 0 (before the first update), every ``every`` optimiser steps, and
    once after the last.
    """

    every: int | None = Field(
        None, ge=1, description="optimiser steps between measurements; null: training.steps / 3"
    )

    def due(self, train_step: int, steps: int) -> bool:
        """Whether to measure before the update ``train_step`` of at most ``steps``."""
        return train_step % (self.every or max(1, steps // 3)) == 0

    @abstractmethod
    def measure(self, trace: Trace) -> Columns:
        """The columns of the probe's table: name to equally long sequences, ``train_step`` left to
        the caller.
        """


def lag_products(
    trace: Trace, lags: list[int]
) -> dict[tuple[str, Norm], Float[Tensor, "lags batch"]]:
    """ln of the norms of ds_T/ds_{T-lag} (block state) and dh_T/dh_{T-lag} (hidden); keys (block,
    norm); shared by probes.
    """

    def make() -> dict[tuple[str, Norm], Tensor]:
        norms: dict[tuple[str, Norm], list[Tensor]] = {}
        for _, _, products in jacobian_products(
            step_jacobians(trace), [(trace.time, trace.time - lag) for lag in lags]
        ):
            for key, values in block_norms(trace, products).items():
                norms.setdefault(key, []).append(values[0])
        return {key: torch.stack(values) for key, values in norms.items()}

    return trace.memo(("lag_products", tuple(lags)), make)


def block_norms(trace: Trace, products: Scaled) -> dict[tuple[str, Norm], Float[Tensor, "*batch"]]:
    """ln of both norms of both blocks of Jacobian products; keys (block, norm)."""
    blocks: dict[str, Any] = {"state": None, "hidden": trace.cell.hidden}
    norms: tuple[Norm, ...] = ("spectral", "frobenius")
    return {
        (block, norm): log_norm(products, norm, part)
        for block, part in blocks.items()
        for norm in norms
    }


def grid(last: int, points: int) -> list[int]:
    """At most ``points`` integers from 0 to ``last``, evenly spread, both ends among them."""
    return sorted({round(x) for x in np.linspace(0, last, min(points, last + 1))})


def lag_grid(last: int, points: int) -> list[int]:
    """At most ``points`` lags from 0 to ``last``: every small one, then ever wider apart."""
    if last + 1 <= points:
        return list(range(last + 1))
    return sorted({0, *(round(x) for x in np.geomspace(1, last, points - 1))})
