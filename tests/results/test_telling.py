"""Which of many configurations a figure names."""

import math

import pytest

from gradscope.results.tables import Tables
from gradscope.results.telling import telling
from tests.results.conftest import entry, in_memory


def test_few_are_all_named_in_the_order_of_the_sweep():
    tables = in_memory({"b": [0.5], "a": [0.4]})
    assert telling(tables) == ["b", "a"]
    assert telling(tables, 1) == ["a"]


def test_of_many_the_best_the_worst_and_evenly_between():
    order = (5, 20, 3, *range(6, 20), 0, 4, 1, 2)
    tables = in_memory({f"{n:02d}": [0.2 + 0.03 * n] for n in order})
    assert telling(tables, 3) == ["20", "10", "00"]
    assert telling(tables, 5) == ["05", "20", "10", "15", "00"]


def test_who_diverged_in_every_seed_is_the_worst():
    tables = in_memory({"gone": [math.nan], "good": [0.2], "bad": [0.9], "middling": [0.5]})
    assert telling(tables, 2) == ["gone", "good"]


def test_a_choice_among_some():
    tables = in_memory({f"{n}": [0.2 + 0.05 * n] for n in range(9)})
    assert telling(tables, 2, ["7", "3", "5"]) == ["3", "7"]
    assert telling(tables, 9, ["7", "3"]) == ["3", "7"]
    assert telling(tables, 3, []) == []


@pytest.mark.parametrize("most", [2, 5])
def test_recordings_are_not_ranked(most):
    tables = Tables({}, [entry(f"t{n}", f"layer {n}") for n in range(9)])
    chosen = telling(tables, most)
    assert len(chosen) == most
    assert chosen[0] == "layer 0"
    assert chosen[-1] == "layer 8"
