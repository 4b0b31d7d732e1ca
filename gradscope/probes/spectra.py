"""Eigenvalues and singular values."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from gradscope.dynamics import Trace, jacobian_products, step_jacobians
from gradscope.probes._norms import even_grid
from gradscope.probes._probe import Probe, register
from gradscope.results.columns import Columns, Rows


@register("spectra")
class Spectra(Probe):
    """Eigenvalues of recurrent matrices and of J_t; singular values of Jacobian products.

    Jacobians are those of the batch's first sequence. Of a cell h_t = phi(W h_{t-1} + ...) also the
    bound ln(max |phi'| ||W||) on ln ||J_t||: below 0 every gradient has to vanish. Columns: kind
    (recurrent_matrix, contraction_bound, jacobian, product), matrix (the gate, or empty), t and k
    (the steps, or -1), index, real and imag (of an eigenvalue), log_value (ln |eigenvalue|, ln
    singular value or the bound, nats; NaN for singular values that a product in this precision
    cannot resolve).

    Reference: Bengio, Simard and Frasconi (1994), theorem 4; Pascanu, Mikolov and Bengio (2013),
    section 2.1.
    """

    by_default = True
    in_report = True
    order = 50

    steps: int = Field(
        3,
        ge=1,
        description=(
            "how many steps t, evenly spread over the sequence, have the eigenvalues "
            "of their J_t taken"
        ),
    )
    lags: list[Annotated[int, Field(ge=0)]] = Field(
        [1, 10, 50],
        description=(
            "lags, in steps, at which the singular values of J_{T:T-lag} are taken; "
            "those beyond T are left out"
        ),
    )

    def work(self, trace: Trace) -> float:
        """Eigenvalues of each matrix, singular values of each product, and the products."""
        return 10 * self.steps + 5 * len(self.lags) + max(self.lags, default=0) / 4

    def measure(self, trace: Trace) -> Columns:
        """One row for each eigenvalue and singular value."""
        rows = Rows()
        for gate, matrix in trace.cell.recurrent_matrices().items():
            _add_eigenvalues(rows, "recurrent_matrix", gate, -1, matrix)
        _add_bound(rows, trace)
        trace = trace.first(1)
        jacobians, time = step_jacobians(trace), trace.time
        for t in even_grid(time - 1, self.steps):
            _add_eigenvalues(rows, "jacobian", "", t + 1, jacobians[t, 0])
        lags = sorted({lag for lag in self.lags if lag <= time})
        for _, k, product in jacobian_products(jacobians, [(time, time - lag) for lag in lags]):
            values = product.log_singular_values()[0, 0].tolist()
            rows.add(
                kind="product",
                matrix="",
                t=time,
                k=k,
                index=range(len(values)),
                real=math.nan,
                imag=math.nan,
                log_value=values,
            )
        return rows


def _add_bound(rows: Rows, trace: Trace) -> None:
    """The bound on ||J_t|| of a cell whose state is phi(u), with u linear in the state before."""
    gates, matrices = trace.gates(), trace.cell.recurrent_matrices()
    if list(gates) != ["h"] or list(matrices) != ["h"] or trace.mask is not None:
        return
    gate, states = gates["h"], trace.states[1:]
    value = gate.value.to(states)
    if value.shape != states.shape or not torch.allclose(value, states, rtol=1e-4, atol=1e-5):
        return  # the state is more than phi(u)
    norm = float(torch.linalg.matrix_norm(matrices["h"].double(), 2))
    bound = gate.activation.max_slope * norm
    rows.add(
        kind="contraction_bound",
        matrix="h",
        t=-1,
        k=-1,
        index=0,
        real=math.nan,
        imag=math.nan,
        log_value=math.log(bound) if bound > 0 else -math.inf,
    )


def _add_eigenvalues(rows: Rows, kind: str, matrix: str, t: int, values: Tensor) -> None:
    eigenvalues = torch.linalg.eigvals(values.double())
    eigenvalues = eigenvalues[eigenvalues.abs().argsort(descending=True)]
    rows.add(
        kind=kind,
        matrix=matrix,
        t=t,
        k=t - 1 if t > 0 else -1,
        index=range(len(eigenvalues)),
        real=eigenvalues.real.tolist(),
        imag=eigenvalues.imag.tolist(),
        log_value=eigenvalues.abs().log().tolist(),
    )
