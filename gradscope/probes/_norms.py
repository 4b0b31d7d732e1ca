"""Norms of Jacobian products by lag, which several probes measure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics import (
    MemoryHorizon,
    Norm,
    Scaled,
    Trace,
    jacobian_products,
    log_norm,
    step_jacobians,
)

#: the parts of a state whose norms are taken
BLOCKS = ("state", "hidden")
NORMS: tuple[Norm, ...] = ("spectral", "frobenius")
#: (block, norm)
Key = tuple[str, Norm]


def norms_by_lag(trace: Trace, lags: Sequence[int]) -> dict[Key, Float[Tensor, "lags batch"]]:
    """ln of the norms of ds_T/ds_{T-lag} (block state) and dh_T/dh_{T-lag} (block hidden), nats.

    They are computed once for a trace.
    """

    def make() -> dict[Key, Tensor]:
        rows: dict[Key, list[Tensor]] = {}
        pairs = [(trace.time, trace.time - lag) for lag in lags]
        for _, _, products in jacobian_products(step_jacobians(trace), pairs):
            for key, values in block_norms(trace, products).items():
                rows.setdefault(key, []).append(values[0])
        return {key: torch.stack(values) for key, values in rows.items()}

    return trace.memo(("norms_by_lag", tuple(lags)), make)


def block_norms(trace: Trace, products: Scaled) -> dict[Key, Float[Tensor, "*batch"]]:
    """ln of both norms of both blocks of Jacobian products, nats."""
    parts = {"state": None, "hidden": trace.cell.hidden}
    return {
        (block, norm): log_norm(products, norm, parts[block]) for block in BLOCKS for norm in NORMS
    }


def horizon_columns(horizon: MemoryHorizon) -> dict[str, object]:
    """A memory horizon as the columns of a table."""
    return {
        "horizon": horizon.lag,
        "horizon_low": horizon.interval[0],
        "horizon_high": horizon.interval[1],
        "kind": horizon.kind,
        "censored": horizon.censored,
        "longest": horizon.longest,
        "law": horizon.law,
        "rate": horizon.rate,
        "rate_error": horizon.rate_error,
    }


def even_grid(last: int, points: int) -> list[int]:
    """At most ``points`` integers from 0 to ``last``, evenly spread, both ends among them.

    >>> even_grid(10, 3)
    [0, 5, 10]
    """
    return sorted({round(point) for point in np.linspace(0, last, min(points, last + 1))})


def lag_grid(last: int, points: int) -> list[int]:
    """At most ``points`` lags from 0 to ``last``, dense near 0 and ever wider apart.

    >>> lag_grid(100, 6)
    [0, 1, 3, 10, 32, 100]
    """
    if last + 1 <= points:
        return list(range(last + 1))
    return sorted({0, *(round(lag) for lag in np.geomspace(1, last, points - 1))})
