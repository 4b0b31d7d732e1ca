"""Paths through the state, and gates."""

import math

import pytest
import torch

from gradscope.dynamics import adjoints, path_contributions
from tests.probes._draw import measured, rows_of, trace_of


def test_paths_are_those_of_dynamics():
    trace = trace_of("lstm")
    rows = rows_of(measured("path_contributions", trace))
    paths = path_contributions(trace)
    for (begin, end), log_norms in paths.log_norms.items():
        ours = [row["log_norm"] for row in rows if row["path"] == f"{begin}→{end}"]
        assert ours == log_norms.tolist()


def test_of_a_gated_cell_without_recurrent_weights_the_direct_path_is_all():
    """GRU with W_hh = 0: J_t = diag(z_t), so the carry passes everything that there is."""
    trace = trace_of("gru")
    cell = trace.cell.layers[0]
    cell.weight_hh.data.zero_()
    rows = [row for row in rows_of(measured("path_contributions", trace)) if row["kind"] == "gate"]
    a = adjoints(trace).values()
    u = trace.inputs @ cell.weight_ih.mT + cell.bias_ih + cell.bias_hh
    z = torch.sigmoid(u[..., 5:10])
    for row in rows:
        t = 20 - row["lag"]
        if row["path"] == "direct":
            norm = float((z[t] * a[t + 1]).norm().detach())
            assert row["log_norm"] == pytest.approx(math.log(norm), abs=1e-9)
        else:
            assert row["log_norm"] == -math.inf
