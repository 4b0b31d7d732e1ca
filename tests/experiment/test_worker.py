"""One trial from settings to shards, or to the reason for which it failed."""

import pytest
import torch

from gradscope.errors import RunDirectoryError
from gradscope.experiment import Experiment
from gradscope.experiment.run import prepare
from gradscope.experiment.worker import record, single_threaded
from gradscope.probes.saturation import Saturation
from gradscope.results.records import RunDirectory

TEXT = (
    "task: {name: adding, length: 4}\ncell: rnn\ntraining: {steps: 3}\n"
    "evaluation: {sequences: 5}\nprobes: [saturation]"
)


def test_a_trial_is_recorded_with_what_became_of_it(tmp_path):
    run = RunDirectory(tmp_path / "run")
    (trial,) = prepare(Experiment.parse(TEXT), run, "cpu").missing
    told = []
    assert record(trial, run, "cpu", lambda *report: told.append(report[:2])) == "unsolved"
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert run.done() == {trial.id}
    assert run.failures() == {}


def test_a_failure_is_written_down_and_not_raised(tmp_path, monkeypatch):
    monkeypatch.setattr(Saturation, "measure", lambda self, trace: 1 / 0)
    run = RunDirectory(tmp_path / "run")
    (trial,) = prepare(Experiment.parse(TEXT), run, "cpu").missing
    assert record(trial, run, "cpu", lambda *_: None) == "failed"
    (failure,) = run.failures().values()
    assert failure["error"] == "ZeroDivisionError: division by zero"
    assert "Traceback" in failure["traceback"]
    assert run.done() == set()


def test_a_text_that_changes_while_a_run_goes_on_is_not_mixed_in(tmp_path):
    text = tmp_path / "my.txt"
    text.write_text("a text that a model can learn " * 20)
    run = RunDirectory(tmp_path / "run")
    content = {"task": {"name": "char_lm", "corpus": str(text), "length": 5}, "cell": "rnn"}
    experiment = Experiment.of({**content, "training": {"steps": 1}})
    (trial,) = prepare(experiment, run, "cpu").missing
    text.write_text("another text that a model can learn " * 20)
    assert record(trial, run, "cpu", lambda *_: None) == "failed"
    (failure,) = run.failures().values()
    assert f"{text}: has changed since the run began" in failure["error"]


def test_a_run_is_not_continued_with_another_text(tmp_path):
    text = tmp_path / "my.txt"
    text.write_text("a text that a model can learn " * 20)
    run = RunDirectory(tmp_path / "run")
    content = {"task": {"name": "char_lm", "corpus": str(text), "length": 5}, "cell": "rnn"}
    content["training"] = {"steps": 1}
    (trial,) = prepare(Experiment.of(content), run, "cpu").missing
    assert record(trial, run, "cpu", lambda *_: None) == "unsolved"
    (entry,) = run.manifest().trials
    assert entry.contents == trial.settings.task.contents
    text.write_text("another text that a model can learn " * 20)
    with pytest.raises(RunDirectoryError, match="1 recorded trial that the experiment, as it is"):
        prepare(Experiment.of(content), run, "cpu")


def test_torch_uses_one_thread_within_and_as_many_as_before_after():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with single_threaded():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
