"""What every probe promises, on every cell: columns of equal length that its docstring names."""

import pytest

from gradscope.cells import CELLS
from gradscope.dynamics import (
    adjoint_lyapunov_spectrum,
    lag_contributions,
    lyapunov_spectrum,
    non_normality,
    singular_value_spectrum,
    step_jacobians,
    truncation_bias,
)
from gradscope.probes import PROBES
from tests.probes._draw import measured, rows_of, trace_of


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS.names())
def test_columns_are_equally_long_and_explained(cell, layers):
    trace = trace_of(cell, layers, length=12)
    for name in PROBES.names():
        columns, doc = measured(name, trace), PROBES.get(name).__doc__
        if not columns:
            assert "No rows" in doc, name
            continue
        lengths = {len(values) for values in columns.values()}
        assert len(lengths) == 1, name
        assert lengths.pop() > 0, name
        assert "Columns:" in doc, name
        for column in columns:
            assert column in doc, f"the docstring of {name} does not say what {column} is"


def test_every_probe_has_a_place_of_its_own():
    orders = [probe.order for probe in PROBES.classes()]
    assert len(set(orders)) == len(orders)


# --- probes that pass on what dynamics gives ------------------------------------------------------


@pytest.fixture(scope="module")
def trace():
    return trace_of("lstm")


def test_lag_contributions(trace):
    parts, columns = lag_contributions(trace), measured("lag_contributions", trace)
    assert columns["lag"] == parts.lags
    assert columns["log_norm"] == parts.log_norms.tolist()
    assert columns["cosine"] == parts.cosines.tolist()
    assert columns["share"] == parts.shares.tolist()
    assert columns["share"][-1] == pytest.approx(1)


def test_truncation_bias(trace):
    rows = rows_of(measured({"name": "truncation_bias", "kinds": ["chunk"]}, trace))
    bias = truncation_bias(trace, kind="chunk")
    assert [row["tbptt_length"] for row in rows] == list(bias.lengths)
    assert [row["norm_ratio"] for row in rows] == bias.norm_ratios.tolist()
    assert [row["cosine"] for row in rows] == bias.cosines.tolist()
    assert rows[-1]["tbptt_length"] >= 20
    assert rows[-1]["norm_ratio"] == pytest.approx(1)


def test_singular_values(trace):
    rows = rows_of(measured({"name": "singular_values", "lags": [20, 3, 3, 21]}, trace))
    assert {row["lag"] for row in rows} == {3, 20}
    expected = singular_value_spectrum(step_jacobians(trace.first(1)), 20, 17)[0].tolist()
    assert [row["log_value"] for row in rows if row["lag"] == 3] == expected


def test_lyapunov(trace):
    columns = measured({"name": "lyapunov", "sequences": 3, "exponents": 4, "blocks": 2}, trace)
    tangent = lyapunov_spectrum(trace.first(3), k=4, blocks=2)
    adjoint = adjoint_lyapunov_spectrum(trace.first(3), k=4, blocks=2)
    assert columns["exponent"] == tangent.exponents.tolist()
    assert columns["standard_error"] == tangent.standard_errors.tolist()
    assert columns["adjoint_exponent"] == adjoint.exponents.tolist()
    assert columns["kaplan_yorke"] == [tangent.kaplan_yorke_dimension] * 4
    assert len(measured("lyapunov", trace)["exponent"]) == 10
    assert measured("lyapunov", trace.steps(0, 1)) == {}


def test_non_normality(trace):
    rows = rows_of(measured({"name": "non_normality", "steps": 3}, trace))
    matrices = trace.cell.recurrent_matrices()
    assert [row["matrix"] for row in rows] == [*(f"W_{gate}" for gate in matrices), *"JJJ"]
    assert [row["t"] for row in rows if row["matrix"] == "J"] == [1, 11, 20]
    last = non_normality(step_jacobians(trace.first(1))[19, 0])
    assert {name: rows[-1][name] for name in vars(last)} == vars(last)
