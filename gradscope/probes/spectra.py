"""Eigenvalues and singular values."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field

from gradscope.components.registry import register
from gradscope.dynamics import jacobian_products, step_jacobians
from gradscope.dynamics.trace import Trace
from gradscope.probes._probe import Columns, Probe, grid


@register("probe", "spectra")
class Spectra(Probe):
    """Eigenvalues of the recurrent matrices and of step Jacobians; singular values of Jacobian
    products.

    Of the batch's first sequence. Columns: kind (recurrent_matrix, jacobian, product), matrix (the
    gate, or empty), t, k (the step, or -1), index, real, imag (eigenvalues), log_value (ln
    |eigenvalue| or ln singular value, nats; NaN for singular values too small for a product formed
    in this precision).
    """

    steps: int = Field(3, ge=1, description="steps t, evenly spread, at which J_t is taken")
    lags: list[Annotated[int, Field(ge=0)]] = Field(
        [1, 10, 50], description="lags at which singular values of J_{T:T-lag} are taken"
    )

    def measure(self, trace: Trace) -> Columns:
        """One row for each eigenvalue and singular value."""
        columns: Columns = {
            name: [] for name in ("kind", "matrix", "t", "k", "index", "real", "imag", "log_value")
        }
        for gate, matrix in trace.cell.recurrent_matrices().items():
            _eigenvalues(columns, "recurrent_matrix", gate, -1, matrix)
        trace = trace.first(1)
        jacobians, time = step_jacobians(trace), trace.time
        for t in grid(time - 1, self.steps):
            _eigenvalues(columns, "jacobian", "", t + 1, jacobians[t, 0])
        lags = sorted({lag for lag in self.lags if lag <= time})
        for _, k, product in jacobian_products(jacobians, [(time, time - lag) for lag in lags]):
            values = product.log_singular_values()[0, 0].tolist()
            _extend(
                columns,
                "product",
                "",
                time,
                k,
                [float("nan")] * len(values),
                [float("nan")] * len(values),
                values,
            )
        return columns


def _eigenvalues(columns: Columns, kind: str, matrix: str, t: int, values: torch.Tensor) -> None:
    found = torch.linalg.eigvals(values.double())
    found = found[found.abs().argsort(descending=True)]
    _extend(
        columns,
        kind,
        matrix,
        t,
        t - 1 if t > 0 else -1,
        found.real.tolist(),
        found.imag.tolist(),
        found.abs().log().tolist(),
    )


def _extend(
    columns: Columns,
    kind: str,
    matrix: str,
    t: int,
    k: int,
    real: list,
    imag: list,
    log_value: list,
) -> None:
    count = len(log_value)
    for name, values in (
        ("kind", [kind] * count),
        ("matrix", [matrix] * count),
        ("t", [t] * count),
        ("k", [k] * count),
        ("index", range(count)),
        ("real", real),
        ("imag", imag),
        ("log_value", log_value),
    ):
        columns[name] += values
