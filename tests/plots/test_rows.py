"""Which rows of a table a figure shows."""

import pytest

from gradscope.plots._rows import (
    at_end,
    ends_of_first_trials,
    late,
    moments,
    of_first_trials,
    present,
)
from gradscope.results.words import RECORDINGS
from tests.plots.conftest import made


@pytest.fixture
def tables():
    """Two seeds of a; b, which ended before its second measurement; c at two lengths."""
    return made(
        norms={
            "configuration": ["a", "a", "a", "a", "b", "c", "c", "c"],
            "seed": [1, 1, 0, 0, 5, 0, 0, 0],
            "length": [8, 8, 8, 8, 8, 4, 8, 8],
            "train_step": [0, 9, 0, 9, 0, 9, 0, 6],
            "value": range(8),
        }
    )


def test_configurations_are_present_in_the_order_of_the_sweep(tables):
    frame = tables["norms"].iloc[::-1]
    assert present(frame, tables) == ["a", "b", "c"]
    assert present(frame[frame["configuration"] != "b"], tables) == ["a", "c"]
    assert present(frame.iloc[:0], tables) == []


def test_moments_are_those_that_were_measured(tables):
    frame = tables.first_and_last("norms")
    assert moments(frame, tables) == ["before training", "end of training"]
    assert moments(frame[frame["configuration"] == "b"], tables) == ["before training"]


def test_moments_of_recordings_have_their_own_names():
    tables = made(RECORDINGS, norms={"train_step": [3, 7]})
    assert moments(tables.first_and_last("norms"), tables) == ["first recording", "last recording"]


def test_late_rows_are_the_last_ones_at_the_greatest_length(tables):
    assert late(tables, "norms")["value"].tolist() == [1, 3, 7]


def test_where_nothing_is_late_the_first_ones_are_shown():
    tables = made(norms={"train_step": [0, 0], "value": [1, 2]})
    assert late(tables, "norms")["value"].tolist() == [1, 2]


def test_the_first_trial_is_that_of_the_least_seed(tables):
    shown = of_first_trials(tables.at_longest("norms"), tables)
    assert shown["value"].tolist() == [2, 3, 4, 6, 7]
    few = of_first_trials(tables.at_longest("norms"), tables, 2)
    assert set(few["configuration"]) == {"a", "c"}  # the first and the last


def test_every_trial_has_an_end_of_its_own(tables):
    assert at_end(tables.at_longest("norms"))["value"].tolist() == [1, 3, 4, 7]
    assert sorted(ends_of_first_trials(tables, "norms", 3)["value"]) == [3, 4, 7]
    assert sorted(ends_of_first_trials(tables, "norms", 1)["value"]) == [3]
