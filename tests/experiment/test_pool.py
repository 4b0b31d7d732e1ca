"""Trials in processes: what ends one costs no other, and nothing listens."""

from collections import Counter

import pytest

from gradscope.errors import GradscopeError, PluginError, StorageError
from gradscope.experiment import Experiment, pool
from gradscope.experiment.pool import run_in_pool
from gradscope.experiment.pool_process import Event, WorkerProcess
from gradscope.results.records import RunDirectory
from tests.conftest import Silent

TEXT = """
task: {name: adding, length: 4}
cell: rnn
training: {steps: 3}
evaluation: {sequences: 5}
sweep: {seed: [0, 1, 2, 3]}
"""
EXPERIMENT = Experiment.parse(TEXT, default_name="small")
TRIALS = [trial.id for trial in EXPERIMENT.trials]


class Scripted(WorkerProcess):
    """In the place of a process: ``fates`` says what becomes of a trial each time that it runs."""

    was_killed = False

    fates: dict[str, list[object]] = {}  # noqa: RUF012
    ran: list[tuple[str, int]] = []  # noqa: RUF012
    living = 0

    def __init__(self, greeting, events):
        self.events, self.group, self.trials, self.peak = events, (), [], 2**30
        self.is_ready, self.is_busy = False, False
        type(self).living += 1
        for message in self.fates.get("start", [[{"ready": True}]])[0]:
            events.put(Event(self, message))

    def give(self, trials):
        self.group, self.trials, self.is_busy = trials, [*trials], True
        for trial in trials:
            self.ran.append((trial.id, self.living))
            fate = self.fates.get(trial.id, [])
            end = fate.pop(0) if fate else {"outcome": [trial.id, "solved"]}
            self.was_killed = end == "killed"
            self.events.put(Event(self, end if isinstance(end, dict) else None))
            if not isinstance(end, dict):
                return
        self.events.put(Event(self, {"done": True}))

    def look(self):
        pass

    def kill(self):
        type(self).living -= 1

    def how_it_ended(self, times):
        return f"its process ended with exit code 3, {times} times"

    def last_words(self):
        return "oh"

    def error(self, message):
        return PluginError(message["unusable"])


@pytest.fixture
def scripted(monkeypatch):
    """Processes whose fates are written down."""
    monkeypatch.setattr(pool, "WorkerProcess", Scripted)
    monkeypatch.setattr(Scripted, "fates", {})
    monkeypatch.setattr(Scripted, "ran", [])
    monkeypatch.setattr(Scripted, "living", 0)
    return Scripted


@pytest.fixture
def run(tmp_path):
    """An empty run directory that says which trials there are."""
    from gradscope.experiment.run import manifest_of

    run = RunDirectory(tmp_path / "run")
    run.write_manifest(manifest_of(EXPERIMENT))
    return run


def started(run, workers=2, groups=None):
    observer = Silent()
    groups = groups or [[trial] for trial in EXPERIMENT.trials]
    outcomes = run_in_pool(groups, run, observer, "cpu", workers)
    assert observer.outcomes == outcomes
    return outcomes


def test_every_trial_is_run_once(scripted, run):
    assert started(run) == dict.fromkeys(TRIALS, "solved")
    assert Counter(trial for trial, _ in scripted.ran) == Counter(TRIALS)
    assert scripted.living == 0


def test_a_trial_whose_process_ends_from_outside_is_run_again(scripted, run):
    scripted.fates = {TRIALS[0]: ["killed", "killed"], TRIALS[2]: ["ended"]}
    assert started(run) == dict.fromkeys(TRIALS, "solved")
    assert Counter(trial for trial, _ in scripted.ran)[TRIALS[0]] == 3


def test_one_that_always_ends_its_process_has_failed_and_costs_no_other(scripted, run):
    scripted.fates = {TRIALS[1]: ["ended"] * 3}
    assert Counter(started(run).values()) == {"solved": 3, "failed": 1}
    assert Counter(trial for trial, _ in scripted.ran) == Counter([*TRIALS, *[TRIALS[1]] * 2])
    (failure,) = run.failures().values()
    assert failure == {"error": "its process ended with exit code 3, 3 times", "traceback": "oh"}


def test_a_group_is_given_to_one_process(scripted, run):
    three, one = EXPERIMENT.trials[:3], EXPERIMENT.trials[3:]
    assert started(run, groups=[three, one]) == dict.fromkeys(TRIALS, "solved")
    assert Counter(trial for trial, _ in scripted.ran) == Counter(TRIALS)


def test_what_is_left_of_a_group_whose_process_ends_goes_on_trial_by_trial(scripted, run):
    scripted.fates = {TRIALS[1]: ["ended"] * 5}
    outcomes = started(run, groups=[EXPERIMENT.trials])
    assert outcomes == {**dict.fromkeys(TRIALS, "solved"), TRIALS[1]: "failed"}
    times = Counter(trial for trial, _ in scripted.ran)
    assert times == {TRIALS[0]: 2, TRIALS[1]: 5, TRIALS[2]: 1, TRIALS[3]: 1}
    (failure,) = run.failures().values()
    assert failure["error"] == "its process ended with exit code 3, 3 times"


def test_one_that_memory_was_wanting_for_runs_alone_and_last(scripted, run, monkeypatch):
    monkeypatch.setattr(pool.Memory, "ran_out", lambda self: True)
    scripted.fates = {TRIALS[0]: ["killed"]}
    assert started(run) == dict.fromkeys(TRIALS, "solved")
    assert scripted.ran[-1][0] == TRIALS[0]


def test_one_that_memory_was_wanting_for_twice_has_failed_for_it(scripted, run, monkeypatch):
    monkeypatch.setattr(pool.Memory, "ran_out", lambda self: True)
    scripted.fates = {TRIALS[0]: ["killed", "killed"]}
    assert Counter(started(run).values()) == {"solved": 3, "failed": 1}
    (failure,) = run.failures().values()
    assert "out of memory: the system ended its process twice" in failure["error"]
    assert "it held 1.0 GiB of" in failure["error"]


def test_processes_that_cannot_start_are_an_error(scripted, run, monkeypatch):
    monkeypatch.setattr(pool.time, "sleep", lambda seconds: None)
    scripted.fates = {"start": [[None]]}
    with pytest.raises(GradscopeError, match="worker processes cannot be started here"):
        started(run)
    assert scripted.living == 0


def test_what_cannot_be_written_ends_the_run(scripted, run):
    scripted.fates = {TRIALS[1]: [{"no_room": "full"}]}
    with pytest.raises(StorageError, match="full"):
        started(run)
    assert scripted.living == 0


def test_a_plugin_that_changed_ends_the_run(scripted, run):
    scripted.fates = {"start": [[{"unusable": "has changed"}]]}
    with pytest.raises(PluginError, match="has changed"):
        started(run)
