"""What the explorer shows, and of which tables it comes."""

import math

import pytest

from gradscope.report.explorer.sources import SOURCES, sources
from gradscope.results.tables import Tables
from tests.plots.conftest import made

SPECTRA = {
    "kind": ["product"] * 4 + ["jacobian", "recurrent_matrix"],
    "matrix": [""] * 5 + ["h"],
    "t": [8, 8, 8, 8, 8, -1],
    "k": [3, 3, 7, 7, 7, -1],
    "index": [0, 1, 0, 1, 0, 0],
    "real": [math.nan] * 4 + [0.5, 0.9],
    "imag": [math.nan] * 4 + [0.0, 0.0],
    "log_value": [-1.0, math.nan, -0.1, -0.2, math.log(0.5), math.log(0.9)],
}
EXACT = {"lag": 5, "index": [0, 1], "log_value": [-1.0, -80.0]}


def by_lag(rows):
    return {lag: group["log_value"].tolist() for lag, group in rows.groupby("lag")}


def test_a_lag_that_two_probes_measured_is_that_of_the_finer_one():
    found = sources(made(singular_values=EXACT, spectra=SPECTRA))
    assert by_lag(found["singular"]) == {1: [-0.1, -0.2], 5: [-1.0, -80.0]}


@pytest.mark.parametrize(
    ("table", "lags"), [({"singular_values": EXACT}, [5]), ({"spectra": SPECTRA}, [1, 5])]
)
def test_either_probe_is_enough(table, lags):
    assert list(by_lag(sources(made(**table))["singular"])) == lags


def test_eigenvalues_are_not_singular_values():
    rows = sources(made(spectra=SPECTRA))["eigenvalues"]
    assert rows["kind"].tolist() == ["jacobian", "recurrent_matrix"]


def test_a_source_without_rows_is_none():
    products = {name: values[:4] for name, values in SPECTRA.items()}
    assert set(sources(made(spectra=products))) == {"singular"}
    assert sources(Tables({}, [])) == {}


def test_columns_of_a_source_are_those_of_its_tables(tiny_run):
    from gradscope.results.records import RunDirectory
    from gradscope.results.tables import load

    for name, rows in sources(load(RunDirectory(tiny_run))).items():
        source = SOURCES[name]
        assert {*source.facets, *source.places, *source.values} <= set(rows.columns)
