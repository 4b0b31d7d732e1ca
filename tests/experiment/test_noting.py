"""What a sweep is at stands in its directory while it runs, and not after."""

import pytest

from gradscope.experiment import Experiment, noting
from gradscope.experiment.noting import Noting
from gradscope.experiment.progress import Silent
from gradscope.experiment.run import run_sweep
from gradscope.results import running
from gradscope.results.records import RunDirectory
from gradscope.results.running import Running

TEXT = (
    "task: {name: adding, length: 4}\ncell: rnn\ntraining: {steps: 2}\nprobes: [none]\n"
    "evaluation: {sequences: 2}\nsweep: {seed: [0, 1]}\n"
)


class Reading:
    """Reads the file each time that it is told something, and keeps what it says."""

    def __init__(self, folder):
        self.folder, self.read, self.finishes = folder, [], []

    def advanced(self, trial, train_step, steps, loss):
        self.read.append(Running.read(self.folder))

    def finished(self, trial, outcome):
        self.finishes.append(outcome)
        self.read.append(Running.read(self.folder))


def test_a_sweep_says_what_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(noting, "_PAUSE", 0.0)
    experiment, reading = Experiment.parse(TEXT), Reading(tmp_path)
    run_sweep(experiment, RunDirectory(tmp_path), reading, population="off")
    first, second = (trial.id for trial in experiment.trials)
    steps = [{name: t.train_step for name, t in one.trials.items()} for one in reading.read]
    assert steps == [
        {}, {first: 1}, {first: 2}, {}, {second: 1}, {second: 2},
    ]  # fmt: skip
    assert reading.finishes == ["unsolved", "unsolved"]
    assert not (tmp_path / running.NAME).exists()


def test_it_writes_now_and_then(tmp_path):
    experiment = Experiment.parse(TEXT)
    first, second = (trial.id for trial in experiment.trials)
    with Noting(Silent(), experiment.trials, tmp_path) as told:
        told.advanced(first, 1, 2, 0.5)
        assert Running.read(tmp_path) == Running()  # less than a second ago
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(noting, "_PAUSE", 0.0)
        with Noting(Silent(), experiment.trials, tmp_path) as told:
            told.advanced(first, 1, 2, 0.5)
            told.finished(second, "failed")
            said = Running.read(tmp_path)
            assert (list(said.trials), said.failed) == ([first], [second])
