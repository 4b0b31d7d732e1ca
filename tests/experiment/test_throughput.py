"""How many trials train as one program."""

import pytest

from gradscope.experiment import Experiment, Trial, throughput
from gradscope.experiment.throughput import best_size


def trials(**overrides: object) -> list[Trial]:
    return Experiment.parse(
        """
task: {name: adding, length: 9}
cell: {name: rnn, hidden_size: 5}
training: {batch_size: 3}
sweep: {seed: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}
""",
        overrides=overrides,
    ).trials


def best(seconds: dict[int, float], monkeypatch: pytest.MonkeyPatch, most: int = 100) -> int:
    """The choice where an update of so many trials together takes so long; of 1, of one alone."""
    taken = iter(seconds.values())
    monkeypatch.setattr(throughput, "_seconds", lambda update, device: next(taken))
    return best_size(trials(), most=most, workers=1, device="cpu")


def test_the_size_of_the_least_time_for_each_trial(monkeypatch):
    assert best({1: 1.0, 4: 2.0, 8: 2.4, 10: 4.0}, monkeypatch) == 8
    assert best({1: 1.0, 4: 2.0, 8: 2.4, 10: 2.5}, monkeypatch) == 10


def test_none_where_each_is_about_as_fast_alone(monkeypatch):
    assert best({1: 1.0, 4: 3.8, 8: 7.9, 10: 9.5}, monkeypatch) == 1


def test_no_larger_one_is_tried_than_is_asked_for(monkeypatch):
    assert best({1: 1.0, 3: 1.0}, monkeypatch, most=3) == 3
    assert best_size(trials()[:1], most=100, workers=1, device="cpu") == 1


def test_no_larger_one_than_fits_the_memory(monkeypatch):
    several = trials()
    monkeypatch.setattr(throughput, "least_memory", lambda settings: 2**20)
    monkeypatch.setattr(throughput, "available", lambda: 4 * 5 * 2**20)
    assert best({1: 1.0, 4: 2.0, 5: 1.0}, monkeypatch) == 5
    monkeypatch.setattr(throughput, "available", lambda: 2**20)
    assert best_size(several, most=100, workers=1, device="cpu") == 1


def test_trials_are_really_timed():
    assert 1 <= best_size(trials(), most=5, workers=1, device="cpu") <= 5


def test_what_cannot_be_tried_trains_alone(monkeypatch):
    def fails(trial, device):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(throughput, "_alone", fails)
    assert best_size(trials(), most=5, workers=1, device="cpu") == 1
