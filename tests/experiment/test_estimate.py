"""Estimates: of what is measured, without harm."""

import math

import pytest

from gradscope.experiment import Experiment, estimate
from gradscope.experiment.estimate import Estimate, estimated
from gradscope.experiment.train import Beginning

SMALL = """
task: {name: adding, length: 30}
cell: {name: rnn, hidden_size: 16}
training: {steps: 60}
evaluation: {every: 20, sequences: 40}
sweep: {cell.name: [rnn, gru], task.length: [20, 30], seed: [0, 1]}
"""


@pytest.fixture
def begun(monkeypatch):
    """The trials that are begun, each at a fixed cost."""
    trials = []

    def begin(trial, device):
        trials.append(trial)
        return Beginning(update=0.1, probes=1.0, test=2.0)

    monkeypatch.setattr(estimate, "begin", begin)
    return trials


def test_every_shape_is_begun_once_and_counted_as_often_as_it_is_run(begun):
    found = estimated(Experiment.parse(SMALL).trials)
    assert found is not None
    assert len(begun) == 4
    assert (found.trials, found.workers) == (8, 1)
    # sixty updates, probes at four steps at most, a test before, every twenty steps and after
    assert found.seconds == pytest.approx(8 * (60 * 0.1 + 4 * 1.0 + 5 * 2.0))
    assert not found.is_large


def test_workers_share_the_time_and_each_takes_memory(begun):
    trials = Experiment.parse(SMALL).trials
    alone, both = estimated(trials), estimated(trials, workers=2)
    assert both.seconds == pytest.approx(alone.seconds / 2 + 5.0)
    assert 1.9 < both.memory / alone.memory < 2.1
    assert estimated(trials, workers=100).workers == 8


def test_shapes_beyond_the_time_are_taken_from_the_nearest(begun, monkeypatch):
    monkeypatch.setattr(estimate, "_BUDGET", 0.0)
    found = estimated(Experiment.parse(SMALL).trials)
    assert len(begun) == 1
    known = 60 * 0.1 + 4 * 1.0 + 5 * 2.0
    # half of the trials are one and a half times as long as the one that was begun
    assert found.seconds == pytest.approx(4 * known + 4 * 1.5 * known)


def test_what_needs_half_the_memory_is_not_begun(begun, monkeypatch):
    monkeypatch.setattr(estimate, "available", lambda: 100_000)
    found = estimated(Experiment.parse(SMALL).trials)
    assert begun == []
    assert math.isnan(found.seconds)
    assert found.is_large
    assert str(found).startswith("at least 0 MiB of")


def test_components_of_others_are_not_begun_here(begun, monkeypatch):
    monkeypatch.setattr(estimate.registry, "is_own", lambda cls: "gru" not in cls.__module__)
    estimated(Experiment.parse(SMALL).trials)
    assert {trial.settings.cell.name for trial in begun} == {"rnn"}


def test_a_trial_that_cannot_be_begun_says_nothing(monkeypatch):
    def fail(trial, device):
        raise ZeroDivisionError

    monkeypatch.setattr(estimate, "begin", fail)
    assert estimated(Experiment.parse(SMALL).trials) is None
    assert estimated([]) is None


@pytest.mark.parametrize(
    ("seconds", "memory", "large"),
    [(10.0, 1, False), (4000.0, 1, True), (10.0, 600, True), (math.nan, 1, True)],
)
def test_what_is_asked_about(seconds, memory, large):
    assert Estimate(3, seconds, memory, 1000, 1).is_large == large


def test_in_words():
    assert str(Estimate(3, 400.0, 2**30, 2**34, 2)) == (
        "at most 7 min with 2 workers, about 1.0 GiB of 16.0 GiB of memory"
    )
