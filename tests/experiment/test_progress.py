"""What a sweep shows while it runs."""

import io
import math
import re

import pytest
from rich.console import Console

from gradscope.experiment import Experiment, progress
from gradscope.experiment.observer import Observer, Several
from gradscope.experiment.progress import (
    LiveProgress,
    PlainProgress,
    fitted,
    label,
    shown,
    watched_by,
)

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
        shown.finished(second.id, "unsolved")  # 200 more at 5 a second
        for trial in TRIALS[2:]:
            shown.advanced(trial.id, 100, 100, 0.5)
            shown.finished(trial.id, "diverged")
    assert stream.getvalue().splitlines() == [
        "[1/4] rnn · seed 0: solved, about 1:00 left",
        "[2/4] rnn · seed 1: unsolved, about 0:40 left",
        "[3/4] lstm · seed 0: diverged, about 0:12 left",
        "[4/4] lstm · seed 1: diverged",
    ]


def test_a_trial_that_fails_before_its_first_step_is_counted(clock):
    stream = io.StringIO()
    with PlainProgress(TRIALS[:1], stream) as shown:
        shown.finished(TRIALS[0].id, "failed")
    assert stream.getvalue() == "[1/1] rnn · seed 0: failed\n"


def test_nothing_is_said_of_the_time_left_while_nothing_is_known(clock):
    stream = io.StringIO()
    with PlainProgress(TRIALS, stream) as shown:
        shown.finished(TRIALS[0].id, "failed")
    assert stream.getvalue() == "[1/4] rnn · seed 0: failed\n"


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
        assert rows["rnn · seed 1"].fields["count"] == "20/100"
        assert rows["rnn · seed 1"].fields["note"] == "loss 0.5"
        assert rows["trials"].completed == 21
        assert rows["trials"].total == 400
        shown.finished(second.id, "solved")
        assert len(shown.progress.tasks) == 2
        assert shown.progress.tasks[0].fields["count"] == "1/4"
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


def drawn(width, encoding="utf-8", trials=TRIALS, steps=100):
    """What a terminal shows in the middle of a trial."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
    with LiveProgress(trials, Console(file=stream, force_terminal=False, width=width)) as shown:
        for step in range(1, steps + 1):
            progress.time.monotonic.moment[0] += 0.2
            shown.advanced(trials[0].id, step, steps * 2, math.exp(-0.1 * step))
        paper = Console(width=width, file=io.StringIO())
        paper.print(shown.progress.get_renderable())
    return paper.file.getvalue().splitlines()


@pytest.fixture
def moving(monkeypatch):
    """A clock that ``drawn`` moves."""

    def monotonic():
        return monotonic.moment[0]

    monotonic.moment = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", monotonic)


def test_a_trial_has_the_curve_of_its_loss_and_all_the_time_that_is_left(moving):
    whole, row = drawn(100)
    (curve,) = re.findall("[▁▂▃▄▅▆▇]+", row)
    assert len(curve) == 17
    assert list(curve) == sorted(curve, reverse=True)
    assert set(curve) == set("▁▂▃▄▅▆▇")
    assert "100/200" in row
    assert "loss 4.54e-05" in row
    assert "0/4" in whole
    assert "about 1:00 left" in whole


def test_it_can_be_read_at_80_columns(moving):
    (trial,) = Experiment.parse(
        "task: {name: adding, length: 4}\ntraining: {steps: 20000}\nsweep:\n"
        "  net: [{label: a network whose label is far too long to be read, cell: rnn}]\n"
        "  clip: [{name: global_norm, max_norm: 1.0}]\n  seed: [3]"
    ).trials
    whole, row = drawn(80, trials=[trial], steps=9000)
    assert max(map(len, (whole, row))) <= 80
    assert "seed 3" in row
    assert "9000/18000" in row
    assert "loss" in row
    assert "▇" in row
    assert "left" in whole


def test_a_terminal_without_the_signs_gets_no_curve(moving):
    _, row = drawn(100, encoding="latin-1")
    assert not set(row) & set("▁▂▃▄▅▆▇")
    assert "loss 4.54e-05" in row


def test_a_trial_that_begins_again_has_a_new_curve(clock):
    console = Console(file=io.StringIO(), force_terminal=False, width=100)
    with LiveProgress(TRIALS, console) as shown:
        for step, loss in ((1, 1.0), (2, 0.1), (1, 1.0)):
            shown.advanced(TRIALS[0].id, step, 100, loss)
        assert len(shown.losses[TRIALS[0].id].line()) == 1


def test_labels_are_cut_in_the_middle():
    assert fitted("short", 10) == "short"
    assert fitted("layer_norm_lstm · seed 3", 12) == "layer_…eed 3"
    assert len(fitted("x" * 100, 21)) == 21


def test_progress_is_live_on_a_terminal_alone():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    assert isinstance(shown(TRIALS, Terminal()), LiveProgress)
    assert isinstance(shown(TRIALS, io.StringIO()), PlainProgress)


def test_who_cannot_be_told_of_progress():
    unchecked = getattr(watched_by, "__wrapped__", watched_by)  # without the tests' check of types
    with pytest.raises(TypeError, match="'advanced' and 'finished', got int"):
        unchecked(3, [])


def test_several_are_told_in_order():
    told = []

    class Named:
        def __init__(self, name):
            self.name = name

        def advanced(self, *what):
            told.append((self.name, *what))

        def finished(self, *what):
            told.append((self.name, *what))

    both = Several(Named("a"), Named("b"))
    assert isinstance(both, Observer)
    both.advanced("x", 1, 2, 0.5)
    both.finished("x", "solved")
    assert told == [
        ("a", "x", 1, 2, 0.5), ("b", "x", 1, 2, 0.5), ("a", "x", "solved"), ("b", "x", "solved"),
    ]  # fmt: skip
