"""Rows: columns that grow together."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradscope.results.columns import Rows


def test_what_is_no_list_stands_for_every_row():
    rows = Rows()
    rows.add(lag=range(2), block="state", value=(0.5, 1.5))
    rows.add(lag=[7], block="hidden", value=2.5)
    rows.add(lag=9, block="hidden", value=None)
    assert dict(rows) == {
        "lag": [0, 1, 7, 9],
        "block": ["state", "state", "hidden", "hidden"],
        "value": [0.5, 1.5, 2.5, None],
    }
    assert rows.count == 4


def test_there_may_be_no_rows():
    rows = Rows()
    assert rows.count == 0
    rows.add(lag=[], block="state")
    assert dict(rows) == {"lag": [], "block": []}
    assert rows.count == 0


@pytest.mark.parametrize(
    "values", [np.array([1.0, 2.0]), torch.tensor([1.0, 2.0]), np.array([1.0, 2.0], dtype="f4")]
)
def test_an_array_gives_a_value_for_each_row(values):
    rows = Rows()
    rows.add(value=values, block="state")
    assert dict(rows) == {"value": [1.0, 2.0], "block": ["state", "state"]}
    assert [type(value) for value in rows["value"]] == [float, float]


def test_a_scalar_of_numpy_stays_what_it_is():
    rows = Rows()
    rows.add(lag=[1, 2], value=np.float32(0.5))
    assert [type(value) for value in rows["value"]] == [np.float32] * 2


@pytest.mark.parametrize("lags", [[1, 2, 3], [1], []])
def test_columns_of_different_lengths_are_refused(lags):
    rows = Rows()
    with pytest.raises(ValueError, match=f"differ in length.*'lag': {len(lags)}, 'block': 2"):
        rows.add(lag=lags, block=["a", "b"])
    assert rows.count == 0


@given(st.lists(st.tuples(st.lists(st.integers(), max_size=4), st.text(max_size=2)), max_size=5))
def test_rows_are_those_of_one_after_another(parts):
    rows = Rows()
    for numbers, word in parts:
        rows.add(number=numbers, word=word)
    numbers = [number for some, _ in parts for number in some]
    words = [word for some, word in parts for _ in some]
    assert (rows.get("number", []), rows.get("word", [])) == (numbers, words)
    assert rows.count == len(numbers)
