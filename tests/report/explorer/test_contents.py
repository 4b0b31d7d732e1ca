"""Tables as the explorer's contents."""

import numpy as np
import pytest

from gradscope.report.explorer.contents import contents
from gradscope.report.explorer.sources import SOURCES
from gradscope.results.records import RunDirectory
from gradscope.results.tables import Tables, load
from tests.plots.conftest import made
from tests.report.explorer.test_packing import unpacked


@pytest.fixture
def tiny(tiny_run):
    return load(RunDirectory(tiny_run))


class Held:
    """Contents as the page's script reads them."""

    def __init__(self, tables):
        found = contents(tables)
        assert found is not None
        self.index = found.index

        class AsPacked:
            layout = found.index["arrays"]
            text = staticmethod(lambda: found.arrays)

        self.arrays = unpacked(AsPacked)

    def measured(self, name, column, **where):
        source = self.index["sources"][name]
        places = [
            place
            for place in range(len(source["trial"]))
            if all(source[key][place] == value for key, value in where.items())
        ]
        assert len(places) == 1
        return self.arrays[source["arrays"][column][places[0]]].tolist()


def test_every_source_of_a_real_run_is_there(tiny):
    held = Held(tiny)
    assert set(held.index["sources"]) == set(SOURCES)
    assert [one["name"] for one in held.index["configurations"]] == tiny.configurations
    assert {trial["outcome"] for trial in held.index["trials"]} == {"unsolved", "diverged"}


def test_values_are_those_of_the_tables(tiny):
    held = Held(tiny)
    frame = tiny["jacobian_norms"]
    one = frame[frame["trial"] == frame["trial"].iloc[0]]
    ids = [trial.id for trial in tiny.trials if trial.id in set(frame["trial"])]
    trial = ids.index(one["trial"].iloc[0])
    for (step, block), rows in one.groupby(["train_step", "block"]):
        rows = rows.sort_values(["t", "k"])
        for column in ("t", "k", "log_spectral_norm", "log_frobenius_norm"):
            found = held.measured(
                "norms", column, trial=trial, train_step=step, block=block, sequence=0
            )
            np.testing.assert_array_equal(found, rows[column].astype(np.float32))


def test_a_cell_whose_state_is_its_output_is_kept_once():
    columns = {"t": 2, "k": [0, 1, 2] * 2, "block": ["state"] * 3 + ["hidden"] * 3}
    norms = {"log_spectral_norm": [-2.0, -1.0, 0.0] * 2, "log_frobenius_norm": 0.5}
    held = Held(made(jacobian_norms={"sequence": 0, **columns, **norms}))
    first, second = held.index["sources"]["norms"]["arrays"]["log_spectral_norm"]
    assert first == second


def test_symbols_that_a_gate_read_are_there():
    columns = {"gate": "f", "unit": [0, 0, 1, 1], "t": [1, 2] * 2, "value": 0.5}
    read = made(gates={**columns, "symbol": ["a", "<"] * 2})
    assert Held(read).index["sources"]["gates"]["text"] == [["a", "<"]]
    numbers = made(gates={**columns, "symbol": ""})
    assert Held(numbers).index["sources"]["gates"]["text"] == [[]]


def test_of_nothing_measured_there_is_nothing():
    assert contents(Tables({}, [])) is None
    assert contents(made(trials={"outcome": ["solved"]})) is None
