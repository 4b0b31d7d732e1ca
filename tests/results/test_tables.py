"""Tables: a run directory as DataFrames whose rows say which trial they are of."""

import math

import pandas as pd
import pytest

from gradscope.errors import RunDirectoryError, UnknownTableError
from gradscope.results import tables
from gradscope.results.preparation import prepare_directory
from gradscope.results.records import RunDirectory
from gradscope.results.tables import Tables
from gradscope.results.words import RECORDINGS
from tests.results.conftest import entry, in_memory, outcome, run_by_hand, wanted


@pytest.fixture
def by_hand(tmp_path):
    return tables.load(run_by_hand(tmp_path / "run"))


def test_every_row_says_which_trial_it_is_of(by_hand):
    assert set(by_hand) == {"trials", "training", "memory_horizon"}
    assert len(by_hand) == 3
    for frame in by_hand.values():
        assert {"trial", "configuration", "length", "seed", "task"} <= set(frame.columns)
    row = by_hand["trials"].query("trial == 'lstm201'").iloc[0]
    assert (row["configuration"], row["length"], row["seed"], row["task"]) == (
        "lstm",
        20,
        1,
        "adding",
    )
    assert row["final_loss"] == 0.05
    assert len(by_hand["training"]) == 8 * 2
    assert by_hand.seconds["tanh100"] == {"total": 2.0}


def test_trials_that_are_missing_have_no_rows(tmp_path):
    run = RunDirectory(tmp_path / "run")
    prepare_directory(run, wanted(entry("a", seed=0), entry("b", seed=1)), "cpu")
    run.write_trial("b", {"trials": outcome(0.5)}, {"total": 1.0})
    (run.path / "timing" / "stranger.json").write_text('{"total": 1.0}')
    loaded = tables.load(run)
    assert loaded["trials"]["trial"].tolist() == ["b"]
    assert loaded["trials"]["length"].tolist() == [-1]
    assert [trial.id for trial in loaded.trials] == ["a", "b"]
    assert set(loaded.seconds) == {"b"}


def test_a_column_called_as_one_of_every_rows_does_not_displace_it(tmp_path):
    run = RunDirectory(tmp_path / "run")
    prepare_directory(run, wanted(entry("a", length=12, seed=3)), "cpu")
    columns = {"seed": [7, 8], "length": [1, 2], "value": [0.5, 1.5]}
    run.write_trial("a", {"trials": outcome(0.5), "mine": columns, "lengths": columns}, {})
    loaded = tables.load(run)
    assert loaded["mine"]["seed"].tolist() == [3, 3]
    assert loaded["mine"]["length"].tolist() == [12, 12]
    assert loaded["mine"]["seed_measured"].tolist() == [7, 8]
    assert loaded["mine"]["length_measured"].tolist() == [1, 2]
    assert loaded["lengths"]["length"].tolist() == [12, 12]
    assert loaded["lengths"]["test_length"].tolist() == [1, 2]


def test_a_run_without_a_finished_trial_says_so(tmp_path):
    run = RunDirectory(tmp_path / "run")
    prepare_directory(run, wanted(entry("a")), "cpu")
    with pytest.raises(RunDirectoryError, match="no trial is recorded yet"):
        tables.load(run)


def test_others_read_the_shards_as_they_lie(tiny_run):
    frame = pd.read_parquet(tiny_run / "tables" / "trials")
    assert len(frame) == 32
    assert {"trial", "outcome", "final_loss"} <= set(frame.columns)


def test_an_unknown_table_is_named_with_those_that_are_there():
    loaded = in_memory({"a": [0.1], "b": [0.1]})
    with pytest.raises(KeyError, match=r"no table 'trails'; did you mean 'trials'\?"):
        loaded["trails"]
    with pytest.raises(UnknownTableError):
        loaded["trails"]
    assert "trails" not in loaded
    assert loaded.get("trails") is None
    assert repr(loaded) == "Tables: trials (2 rows)"
    assert repr(Tables({}, [])) == "Tables: none"


def test_a_notebook_shows_what_there_is():
    frame = pd.DataFrame({"trial": ["a"], "<b>": [1]})
    shown = Tables({"x & y": frame}, [])._repr_html_()
    assert '<th scope="row">x &amp; y</th><td>1</td><td>trial, &lt;b&gt;</td>' in shown


def test_configurations_stand_in_the_order_of_the_sweep(by_hand):
    assert by_hand.configurations == ["tanh", "lstm"]
    assert by_hand.lengths == [10, 20]
    assert by_hand.longest == {"tanh": 20, "lstm": 20}
    assert by_hand.axes == {"tanh": ["tanh"], "lstm": ["lstm"]}
    assert set(by_hand.at_longest("trials")["trial"]) == {
        "tanh200",
        "tanh201",
        "lstm200",
        "lstm201",
    }
    assert by_hand.at_longest(by_hand["trials"]).equals(by_hand.at_longest("trials"))


def test_the_rows_of_one_trial(by_hand):
    alone = by_hand.of_trial("lstm101")
    assert all(set(frame["trial"]) == {"lstm101"} for frame in alone.values())
    assert alone.configurations == by_hand.configurations
    assert len(by_hand["trials"]) == 8


@pytest.mark.parametrize(
    ("lengths", "where"),
    [
        ({"a": [10], "b": [10]}, ""),
        ({"a": [None]}, ""),
        ({"a": [10, 20], "b": [20]}, " at length 20"),
        ({"a": [10, 20], "b": [10]}, " at each configuration's greatest length"),
        ({"a": [10, 20], "b": [None]}, " at each configuration's greatest length"),
    ],
)
def test_where_a_heading_says_a_length(lengths, where):
    trials = [
        entry(f"{label}{length}", label, length=length)
        for label, several in lengths.items()
        for length in several
    ]
    assert Tables({}, trials).where == where


def test_a_configuration_without_length_is_at_its_longest():
    loaded = in_memory({"a": [0.5]})
    assert loaded.longest == {"a": None}
    assert len(loaded.at_longest("trials")) == 1


def test_sequences_of_one_length_are_told_from_others():
    loaded = in_memory({"a": [0.5]})
    same = pd.DataFrame({"t": [1, 2, 3], "to_end": [-2, -1, 0]})
    assert loaded.same_time(same)
    assert not loaded.same_time(same.assign(to_end=[-2, -1, -1]))
    assert loaded.same_time(same.iloc[:0])


STEPS = pd.DataFrame(
    {
        "trial": ["a"] * 3 + ["b"] * 2 + ["c"],
        "train_step": [0, 5, 10, 0, 4, 0],
        "value": range(6),
    }
)


def moments(loaded: Tables) -> dict[str, list[tuple[str, int]]]:
    rows = loaded.first_and_last("x")
    return {
        when: list(zip(part["trial"], part["value"], strict=True))
        for when, part in rows.groupby("when")
    }


def test_a_sweeps_first_measurement_is_before_training_and_its_last_any_later_one():
    loaded = Tables({"x": STEPS}, [])
    assert moments(loaded) == {
        "before training": [("a", 0), ("b", 3), ("c", 5)],
        "end of training": [("a", 2), ("b", 4)],
    }
    assert moments(Tables({"x": STEPS[STEPS["train_step"] > 0]}, [])) == {
        "end of training": [("a", 2), ("b", 4)]
    }


def test_of_recordings_the_first_and_the_last_count_and_a_single_one_is_the_last():
    loaded = Tables({"x": STEPS.assign(train_step=STEPS["train_step"] + 7)}, [], words=RECORDINGS)
    assert moments(loaded) == {
        "first recording": [("a", 0), ("b", 3)],
        "last recording": [("a", 2), ("b", 4), ("c", 5)],
    }


def test_the_ends_of_one_block_alone(by_hand):
    whole = by_hand.first_and_last("memory_horizon")
    blocks = set(whole["block"])
    assert blocks
    for block in blocks:
        alone = by_hand.first_and_last("memory_horizon", block)
        pd.testing.assert_frame_equal(alone, whole[whole["block"] == block])


def test_tables_come_in_and_stay_as_they_are(by_hand):
    before = {name: frame.copy() for name, frame in by_hand.items()}
    by_hand.first_and_last("memory_horizon")
    by_hand.at_longest("trials")
    by_hand.of_trial("lstm101")
    for name, frame in by_hand.items():
        pd.testing.assert_frame_equal(frame, before[name])


def test_infinities_come_back(by_hand):
    assert math.inf in by_hand["memory_horizon"]["horizon"].tolist()
