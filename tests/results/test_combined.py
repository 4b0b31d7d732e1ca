"""Several runs as one set of tables."""

import pandas as pd

from gradscope.results.combined import combined
from tests.results.conftest import in_memory


def test_configurations_are_named_by_their_runs():
    first = in_memory({"tanh": [1.0], "lstm": [0.5]})
    second = in_memory({"tanh": [2.0], "gru": [0.1]})
    joined = combined({"a": first, "b": second})
    assert joined.configurations == ["tanh, a", "lstm, a", "tanh, b", "gru, b"]
    assert joined.axes["tanh, b"] == ["tanh", "b"]  # colour by the first, dash by the second
    losses = joined["trials"].set_index("configuration")["final_loss"]
    assert losses.to_dict() == {"tanh, a": 1.0, "lstm, a": 0.5, "tanh, b": 2.0, "gru, b": 0.1}


def test_runs_of_one_configuration_are_called_by_their_names():
    joined = combined({"a": in_memory({"tanh": [1.0]}), "b": in_memory({"lstm": [2.0]})})
    assert joined.configurations == ["a", "b"]
    assert joined.axes["b"] == ["b"]


def test_trials_of_one_id_stay_apart():
    tables = in_memory({"tanh": [1.0, 2.0]})
    joined = combined({"a": tables, "b": tables})
    assert joined["trials"]["trial"].is_unique
    assert [trial.id for trial in joined.trials] == list(joined["trials"]["trial"])


def test_a_table_that_one_lacks_has_the_rows_of_the_other():
    trial = {"trial": ["tanh0"], "configuration": ["tanh"], "length": [-1], "seed": [0]}
    with_gates = in_memory({"tanh": [1.0]}, gates=pd.DataFrame({**trial, "mean": [0.5]}))
    joined = combined({"a": in_memory({"tanh": [1.0]}), "b": with_gates})
    assert joined["gates"]["configuration"].tolist() == ["b"]


def test_further_tables_are_made_when_they_are_asked_for():
    asked = []

    def more() -> pd.DataFrame:
        asked.append(1)
        return pd.DataFrame({"x": [1]})

    tables = in_memory({"tanh": [1.0]})
    joined = combined({"a": tables, "b": tables}, {"more": more})
    assert "more" in joined
    assert not asked
    assert joined["more"].equals(joined["more"])
    assert len(asked) == 1
