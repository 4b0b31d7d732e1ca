"""What a sweep shows while it runs."""

import io

import pytest
from rich.console import Console

from gradscope.experiment import Experiment, progress
from gradscope.experiment.observer import Observer
from gradscope.experiment.progress import LiveProgress, PlainProgress, label

TRIALS = Experiment.parse(
    "task: {name: adding, length: 4}\ncell: rnn\ntraining: {steps: 100}\n"
    "sweep: {cell.name: [rnn, lstm], seed: [0, 1]}"
).trials


@pytest.fixture
def clock(monkeypatch):
    """The time in seconds, which only the test moves."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_trial_is_called_by_its_labels():
    assert [label(trial) for trial in TRIALS] == [
        "rnn · seed 0",
        "rnn · seed 1",
        "lstm · seed 0",
        "lstm · seed 1",
    ]
    (alone,) = Experiment.parse("task: adding\ncell: gru").trials
    assert label(alone) == "gru"


def test_plain_lines_say_what_became_of_a_trial_and_how_long_it_may_take(clock):
    stream = io.StringIO()
    first, second, *_ = TRIALS
    with PlainProgress(TRIALS, stream) as shown:
        assert isinstance(shown, Observer)
        shown.advanced(first.id, 50, 100, 0.5)
        assert stream.getvalue() == ""
        clock[0] = 10.0
        shown.finished(first.id, "solved")  # after 50 steps: 300 more at 5 a second
        clock[0] = 30.0
        shown.advanced(second.id, 100, 100, 0.5)
        shown.finished(second.id, "unsolved")  # 150 steps in 30 seconds: 200 more
        for trial in TRIALS[2:]:
            shown.advanced(trial.id, 100, 100, 0.5)
            shown.finished(trial.id, "diverged")
    assert stream.getvalue().splitlines() == [
        "[1/4] rnn · seed 0: solved, at most 1:00 left",
        "[2/4] rnn · seed 1: unsolved, at most 0:40 left",
        "[3/4] lstm · seed 0: diverged, at most 0:12 left",
        "[4/4] lstm · seed 1: diverged",
    ]


def test_a_trial_that_fails_before_its_first_step_is_counted(clock):
    stream = io.StringIO()
    with PlainProgress(TRIALS[:1], stream) as shown:
        shown.finished(TRIALS[0].id, "failed")
    assert stream.getvalue() == "[1/1] rnn · seed 0: failed\n"


def test_live_bars_show_trials_that_run_and_lines_those_that_ended(clock):
    console = Console(file=io.StringIO(), force_terminal=False, width=100)
    first, second, *_ = TRIALS
    with LiveProgress(TRIALS, console) as shown:
        assert isinstance(shown, Observer)
        shown.advanced(first.id, 1, 100, 0.25)
        shown.advanced(second.id, 20, 100, 0.5)
        rows = {task.description.strip(): task for task in shown.progress.tasks}
        assert set(rows) == {"trials", "rnn · seed 0", "rnn · seed 1"}
        assert rows["rnn · seed 1"].completed == 20
        assert rows["rnn · seed 1"].fields["note"] == "step 20, loss 0.5"
        assert rows["trials"].completed == 21
        assert rows["trials"].total == 400
        shown.finished(second.id, "solved")
        assert len(shown.progress.tasks) == 2
        assert shown.progress.tasks[0].fields["note"].startswith("1/4")
        assert shown.progress.tasks[0].total == 320
    assert "solved rnn · seed 1" in console.file.getvalue()


def test_bars_move_ten_times_a_second_at_most(clock):
    console = Console(file=io.StringIO(), force_terminal=False, width=100)
    with LiveProgress(TRIALS, console) as shown:
        for step, moment in enumerate((0.0, 0.05, 0.2), start=1):
            clock[0] = moment
            shown.advanced(TRIALS[0].id, step, 100, 0.5)
            expected = {1: 1, 2: 1, 3: 3}[step]
            assert shown.progress.tasks[1].completed == expected
