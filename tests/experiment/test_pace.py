"""The time left falls with the work, and noise does not move it up."""

import random
from itertools import pairwise

import pytest

from gradscope.experiment import Experiment, pace
from gradscope.experiment.pace import Pace

ALIKE = "task: {name: adding, length: 4}\ncell: rnn\ntraining: {steps: 1000}\n"
TRIALS = Experiment.parse(ALIKE + "sweep: {seed: [0, 1]}").trials
UNLIKE = Experiment.parse(ALIKE + "sweep: {task.length: [10, 90]}").trials


@pytest.fixture
def now(monkeypatch):
    """The time in seconds, which only the test moves."""
    moment = [0.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: moment[0])
    return moment


def test_nothing_is_said_before_anything_is_known(now):
    started = Pace(TRIALS)
    now[0] = 10.0
    assert started.seconds_left() is None
    assert started.left() == ""


def test_an_even_pace_is_exact(now):
    even, (first, second) = Pace(TRIALS), TRIALS
    for step in range(1, 1001):
        now[0] += 0.1
        even.advanced(first.id, step)
        if now[0] < 4.9:  # so little says nothing
            assert even.seconds_left() is None
        elif now[0] > 5.1:
            assert even.seconds_left() == pytest.approx(200 - now[0])
    even.finished(first.id)
    for step in range(1, 1001):
        now[0] += 0.1
        even.advanced(second.id, step)
        assert even.seconds_left() == pytest.approx(200 - now[0], abs=1e-6)


def test_a_long_task_is_more_work_than_a_short_one(now):
    sized, (short, _) = Pace(UNLIKE), UNLIKE
    now[0] = 10.0
    sized.advanced(short.id, 1000)
    sized.finished(short.id)
    assert sized.seconds_left() == pytest.approx(90.0, rel=0.01)


def test_noise_never_moves_it_up(now):
    noisy, generator, before = Pace(TRIALS[:1]), random.Random(0), float("inf")
    for step in range(1, 1001):
        now[0] += generator.choice([0.05, 0.08, 0.1, 0.2])
        noisy.advanced(TRIALS[0].id, step)
        left = noisy.seconds_left()
        if left is None:
            continue
        assert left <= before
        before = left
    assert before < 1.0


def test_it_is_corrected_where_the_work_really_slows_down(now):
    slowed = Pace(TRIALS[:1])
    for step in range(1, 501):
        now[0] += 0.1
        slowed.advanced(TRIALS[0].id, step)
    assert slowed.seconds_left() == pytest.approx(50.0)
    told = []
    for step in range(501, 601):
        now[0] += 2.0
        slowed.advanced(TRIALS[0].id, step)
        told.append(slowed.seconds_left())
    rises = sum(later > sooner for sooner, later in pairwise(told))
    assert 1 <= rises <= 15
    assert told[-1] == pytest.approx(400 * 2.0, rel=0.25)


def test_a_stall_is_corrected_too(now):
    stalled = Pace(TRIALS[:1])
    now[0] = 10.0
    stalled.advanced(TRIALS[0].id, 500)
    assert stalled.seconds_left() == pytest.approx(10.0)
    now[0] = 100.0
    assert (stalled.seconds_left() or 0.0) > 50.0


def test_a_trial_that_stops_early_leaves_less(now):
    early, (first, second) = Pace(TRIALS), TRIALS
    now[0] = 10.0
    early.advanced(first.id, 100)
    assert early.seconds_left() == pytest.approx(190.0)
    early.finished(first.id)
    assert early.seconds_left() == pytest.approx(100.0)
    assert early.total == pytest.approx(1100.0)
    early.finished(second.id)  # failed before its first step
    assert early.seconds_left() == 0.0


def test_a_trial_that_is_run_again_is_work_again(now):
    again = Pace(TRIALS[:1])
    again.advanced(TRIALS[0].id, 800)
    again.advanced(TRIALS[0].id, 1)
    assert again.done == pytest.approx(1.0)
    now[0] = 10.0
    again.advanced(TRIALS[0].id, 11)
    assert again.seconds_left() == pytest.approx(989 * 10 / 11, rel=0.2)


def test_no_trials():
    assert Pace([]).seconds_left() is None
