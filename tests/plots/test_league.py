"""The league table: who enters, in which order, with what interval."""

import numpy as np
import pytest

from gradscope.experiment import schema as config
from gradscope.experiment.run import run_sweep
from gradscope.plots.league import League
from gradscope.results import tables
from gradscope.results.records import RunDirectory
from tests.conftest import Silent

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
    - {label: wild, optimizer: {name: sgd, lr: 1.0e+30}, cell: {name: rnn, hidden_size: 4, activation: identity}}
    - {label: gru, cell: {name: gru, hidden_size: 4}}
  seed: [0, 1, 2]
"""


@pytest.fixture(scope="module")
def frame(tmp_path_factory):
    path = tmp_path_factory.mktemp("league") / "run"
    run_sweep(config.parse(TEXT), RunDirectory(path), Silent())
    return League().data(tables.load(RunDirectory(path)))


def test_entrants_are_configurations_without_the_tasks_name(frame):
    assert set(frame["entrant"]) == {"plain", "wild", "gru"}
    assert frame.groupby("entrant")["task"].nunique().tolist() == [2, 2, 2]
    assert (frame["trials"] == 3).all()


def test_what_diverged_comes_last_and_intervals_hold_their_means(frame):
    wild = frame[frame["entrant"] == "wild"]
    assert (wild["ratio"] >= 10 - 1e-9).all()
    assert frame.loc[frame["rank"].idxmax(), "entrant"] == "wild"
    assert (
        (frame["low"] <= frame["ratio"] * (1 + 1e-9))
        & (frame["ratio"] <= frame["high"] * (1 + 1e-9))
    ).all()
    assert np.isfinite(frame["ratio"]).all()
