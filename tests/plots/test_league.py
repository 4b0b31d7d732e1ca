"""The league table: who enters, in which order, with what interval."""

import numpy as np
import pytest

from gradscope.errors import NothingToDrawError
from gradscope.experiment import Experiment
from gradscope.experiment.run import run_sweep
from gradscope.plots.league import League
from gradscope.results import tables
from gradscope.results.records import RunDirectory
from tests.conftest import Silent
from tests.plots.conftest import made

TEXT = """
task: {name: adding, length: 6}
cell: {name: rnn, hidden_size: 4}
training: {steps: 3, batch_size: 4}
evaluation: {sequences: 20}
probes: []
sweep:
  problem:
    - {label: add, task: {name: adding, length: 6}}
    - {label: order, task: {name: temporal_order, length: 12}}
  remedy:
    - {label: plain, clip: none}
    - label: wild
      optimizer: {name: sgd, lr: 1.0e+30}
      cell: {name: rnn, hidden_size: 4, activation: identity}
    - {label: gru, cell: {name: gru, hidden_size: 4}}
  seed: [0, 1, 2]
"""


@pytest.fixture(scope="module")
def frame(tmp_path_factory):
    path = tmp_path_factory.mktemp("league") / "run"
    run_sweep(Experiment.parse(TEXT), RunDirectory(path), Silent())
    return League().data(tables.load(RunDirectory(path)))


def test_entrants_are_configurations_without_the_tasks_name(frame):
    assert set(frame["entrant"]) == {"plain", "wild", "gru"}
    assert frame.groupby("entrant")["task"].nunique().tolist() == [2, 2, 2]
    assert (frame["trials"] == 3).all()


def test_what_diverged_has_no_loss_and_comes_last(frame):
    wild = frame["entrant"] == "wild"
    assert frame.loc[wild, ["ratio", "low", "high"]].isna().all(axis=None)
    assert (frame.loc[wild, "diverged"] == 3).all()
    assert (frame.loc[wild, "counted"] >= 10 - 1e-9).all()
    assert frame.loc[frame["rank"].idxmax(), "entrant"] == "wild"
    others = frame[~wild]
    assert ((others["low"] < others["ratio"]) & (others["ratio"] < others["high"])).all()
    assert np.isfinite(others[["low", "high"]]).all(axis=None)


def _trials(labels, losses, **columns):
    """A trial for each label and loss, over a baseline of 2."""
    seeds = [labels[:place].count(label) for place, label in enumerate(labels)]
    return made(
        trials={
            "configuration": labels,
            "seed": seeds,
            "final_loss": losses,
            "baseline": 2.0,
            "outcome": "unsolved",
            **columns,
        }
    )


def test_the_loss_is_a_geometric_mean_with_students_interval_of_its_logarithm():
    data = League().data(_trials(["a", "a", "b"], [2.0, 8.0, 6.0])).set_index("entrant")
    assert data["ratio"].to_dict() == pytest.approx({"a": 2.0, "b": 3.0})
    assert data["rank"].to_dict() == {"a": 1, "b": 2}
    # logarithms 0 and ln 4 have a standard error of ln 2; t of one degree of freedom is 12.706
    assert data.loc["a", "low"] == pytest.approx(2 * 2**-12.7062047)
    assert data.loc["a", "high"] == pytest.approx(2 * 2**12.7062047)
    assert data.loc["b", ["low", "high"]].isna().all(), "one seed has no interval"


@pytest.mark.parametrize(("others", "counts"), [(2.0, 10.0), (60.0, 30.0)])
def test_what_diverged_counts_ten_times_the_baseline_or_as_the_worst(others, counts):
    data = League().data(_trials(["a", "b"], [np.nan, others])).set_index("entrant")
    assert data.loc["a", "counted"] == pytest.approx(counts)


def test_where_all_diverged_all_count_alike():
    data = League().data(_trials(["a", "b"], [np.nan, np.nan]))
    assert data["counted"].tolist() == pytest.approx([10.0, 10.0])
    assert data["rank"].tolist() == [1, 1]


TWO_TASKS = ["adding", "adding", "delayed_xor", "delayed_xor"]


@pytest.mark.parametrize(
    ("labels", "tasks", "entrants"),
    [
        # the first label names the task
        (["add · x", "add · y", "xor · x", "xor · y"], TWO_TASKS, ["x", "y", "x", "y"]),
        # the second is one and the same for all, and so names none
        (["add · x", "xor · x"], TWO_TASKS[1:3], ["x", "x"]),
        # one task: no label names it
        (["a · x", "b · y"], TWO_TASKS[:2], ["a · x", "b · y"]),
        # a label alone is the entrant, whatever it names
        (["add", "xor"], TWO_TASKS[1:3], ["add", "xor"]),
        # and so are two that both do
        (["add · x", "xor · y"], TWO_TASKS[1:3], ["add · x", "xor · y"]),
        # two labels for one task do not name it
        (["p · x", "q · x", "r · x"], TWO_TASKS[:3], ["p · x", "q · x", "r · x"]),
    ],
)
def test_a_label_is_left_out_where_it_names_the_task(labels, tasks, entrants):
    made_tables = _trials(labels, 1.0, task=tasks)
    data = League().data(made_tables).set_index("configuration")
    assert data["entrant"].to_dict() == dict(zip(labels, entrants, strict=True))


def test_a_league_takes_eight_configurations_or_two_tasks():
    labels = [str(number) for number in range(8)]
    assert League.missing(_trials(labels, 1.0)) == []
    assert League.missing(_trials(["a", "b"], 1.0, task=["adding", "latch"])) == []
    with pytest.raises(NothingToDrawError, match="eight configurations or of two tasks"):
        League().figure(_trials(labels[:7], 1.0))
    assert League.missing(made()) == ["the table 'trials'"]


def test_entrants_are_filled_where_every_seed_solved_the_task():
    outcomes = ["solved", "solved", "solved", "unsolved", "unsolved"]
    made_tables = _trials(
        ["a", "a", "b", "b", "c"],
        [1.0, 1.0, 2.0, 2.0, 4.0],
        outcome=outcomes,
        task=["adding"] * 4 + ["latch"],
    )
    adding, latch = League().figure(made_tables).axes
    assert [text.get_text() for text in adding.get_yticklabels()] == ["a", "b", "c"]
    solved, unsolved, gone, _ = adding.lines
    assert (solved.get_xdata().tolist(), solved.get_ydata().tolist()) == ([0.5], [0])
    assert (unsolved.get_xdata().tolist(), unsolved.get_ydata().tolist()) == ([1.0], [1])
    assert gone.get_ydata().tolist() == []
    assert latch.lines[1].get_ydata().tolist() == [2]  # who did not take part has no mark
    assert latch.lines[2].get_ydata().tolist() == []


def test_where_all_seeds_diverged_there_is_a_cross():
    (panel,) = (
        League().figure(_trials(["a"] * 2 + list("bcdefgh"), [np.nan, np.nan, *[2.0] * 7])).axes
    )
    crosses = panel.lines[2]
    assert crosses.get_marker() == "x"
    np.testing.assert_allclose(crosses.get_xydata(), [[10.0, 7]], rtol=1e-12)
