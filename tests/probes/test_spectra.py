"""Eigenvalues and singular values."""

import math

import pytest
import torch

from gradscope.dynamics import jacobian_product, step_jacobians
from tests.probes._draw import measured, rows_of, trace_of


def test_recurrent_matrices_have_their_eigenvalues():
    trace = trace_of("rnn")
    rows = rows_of(measured("spectra", trace))
    w = trace.cell.layers[0].weight_hh.detach()
    ours = sorted(
        abs(complex(row["real"], row["imag"])) for row in rows if row["kind"] == "recurrent_matrix"
    )
    assert ours == pytest.approx(sorted(torch.linalg.eigvals(w).abs().tolist()))
    for row in rows:
        if row["kind"] in ("recurrent_matrix", "jacobian"):
            modulus = abs(complex(row["real"], row["imag"]))
            assert row["log_value"] == pytest.approx(math.log(modulus))


def test_jacobians_and_products_are_those_of_the_first_sequence():
    trace = trace_of()
    rows = rows_of(measured({"name": "spectra", "steps": 2, "lags": [0, 3, 30]}, trace))
    jacobians = step_jacobians(trace.first(1))
    for t in (1, 20):
        ours = [row for row in rows if row["kind"] == "jacobian" and row["t"] == t]
        assert {row["k"] for row in ours} == {t - 1}
        moduli = torch.linalg.eigvals(jacobians[t - 1, 0]).abs().sort(descending=True).values
        assert [math.exp(row["log_value"]) for row in ours] == pytest.approx(moduli.tolist())
    products = [row for row in rows if row["kind"] == "product"]
    assert {row["k"] for row in products} == {20, 17}
    expected = torch.linalg.svdvals(jacobian_product(jacobians, 20, 17).matrix()[0]).log()
    ours = [row["log_value"] for row in products if row["k"] == 17]
    for value, other in zip(ours, expected.tolist(), strict=True):
        assert math.isnan(value) or value == pytest.approx(other, abs=1e-6)


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_no_step_jacobian_exceeds_the_contraction_bound(activation):
    trace = trace_of(f"rnn, activation: {activation}")
    [bound] = [
        row["log_value"]
        for row in rows_of(measured("spectra", trace))
        if row["kind"] == "contraction_bound"
    ]
    w = trace.cell.layers[0].weight_hh.detach().double()
    slope = 0.25 if activation == "sigmoid" else 1.0
    assert bound == pytest.approx(math.log(slope * float(torch.linalg.matrix_norm(w, 2))))
    norms = torch.linalg.matrix_norm(step_jacobians(trace).double(), 2)
    assert float(norms.max()) <= math.exp(bound) * (1 + 1e-6)


@pytest.mark.parametrize("cell", ["lstm", "gru", "antisymmetric", "minimal_rnn"])
def test_cells_that_carry_more_than_phi_of_u_have_no_bound(cell):
    rows = rows_of(measured("spectra", trace_of(cell)))
    assert not [row for row in rows if row["kind"] == "contraction_bound"]
