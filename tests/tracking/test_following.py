"""Trials reach trackers when they are recorded, and no tracker can stop a run."""

from contextlib import contextmanager

import pytest

import gradscope
from gradscope.errors import GradscopeError
from gradscope.results.records import RunDirectory
from gradscope.tracking.following import Tracking
from gradscope.tracking.tracker import Tracker
from tests.results.conftest import run_by_hand

SMALL = {
    "name": "small",
    "task": {"name": "adding", "length": 4},
    "cell": "rnn",
    "training": {"steps": 3},
    "evaluation": {"sequences": 5, "every": 2},
    "probes": ["none", "memory_horizon"],
    "sweep": {"seed": [0, 1]},
}


class Kept(Tracker):
    """Keeps what it is given; fails as often as it should."""

    name, title, takes = "kept", "Kept", "NOTHING"

    def __init__(self, failures=0):
        super().__init__(None, "experiment", None)
        self.failures, self.asked = failures, 0
        self.opened_trials, self.closed, self.calls = [], [], []

    def load(self):
        pass

    @contextmanager
    def opened(self, trial):
        self.asked += 1
        if self.failures:
            self.failures -= 1
            raise ConnectionError("nobody answers")
        self.opened_trials.append(trial)
        yield lambda scalars, step: self.calls.append((step, scalars))
        self.closed.append(trial.id)


@pytest.fixture
def run(tmp_path) -> RunDirectory:
    """A run of eight recorded trials."""
    return run_by_hand(tmp_path / "run")


def test_a_trial_is_logged_whole_when_it_is_recorded(run):
    kept, said = Kept(), []
    tracking = Tracking([kept], run, said.append)
    tracking.advanced("tanh100", 1, 2, 0.5)
    assert kept.asked == 0
    tracking.finished("tanh100", "unsolved")
    (trial,) = kept.opened_trials
    assert (trial.id, kept.closed) == ("tanh100", ["tanh100"])
    assert [step for step, _ in kept.calls] == [step for step, _ in trial.points]
    last = kept.calls[-1][1]
    assert last["final/solved"] == trial.final["solved"]
    assert not any(name.startswith("final/") for _, one in kept.calls[:-1] for name in one)
    assert said == []


def test_a_failed_trial_has_nothing_to_log(run):
    kept = Kept()
    Tracking([kept], run, pytest.fail).finished("tanh100", "failed")
    assert kept.asked == 0


def test_a_tracker_that_fails_is_said_once_and_holds_up_no_other(run):
    failing, kept, said = Kept(failures=2), Kept(), []
    tracking = Tracking([failing, kept], run, said.append)
    for trial in ("tanh100", "tanh101", "tanh200"):
        tracking.finished(trial, "unsolved")
    assert said == [
        "Kept did not take the trial tanh100 (ConnectionError: nobody answers); the run goes on, "
        "and of further failures nothing is said"
    ]
    assert kept.closed == ["tanh100", "tanh101", "tanh200"]
    assert failing.closed == ["tanh200"]


def test_it_is_given_up_after_three_failures_in_a_row(run):
    failing = Kept(failures=99)
    tracking = Tracking([failing], run, lambda text: None)
    for trial in ("tanh100", "tanh101", "tanh200", "tanh201", "lstm100"):
        tracking.finished(trial, "unsolved")
    assert failing.asked == 3


def test_records_that_are_not_there_are_a_failure_of_the_log_alone(run):
    said = []
    Tracking([Kept()], run, said.append).finished("nobody", "solved")
    assert "did not take the trial nobody" in said[0]


def test_an_interrupt_is_passed_on(run):
    class Interrupted(Kept):
        def write(self, trial):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Tracking([Interrupted()], run, pytest.fail).finished("tanh100", "solved")


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_from_python_with_any_number_of_workers(workers, tmp_path):
    from tests.tracking.test_export import events_of

    run = gradscope.run(
        SMALL, out=tmp_path / "run", workers=workers, progress=False, log="tensorboard"
    )
    folders = sorted((run.path / "tensorboard").iterdir())
    assert len(folders) == 2
    for trial in run.trials["trial"]:
        (folder,) = (path for path in folders if path.name.endswith(trial))
        recorded = run.tables["training"].query("trial == @trial")["loss"].tolist()
        read = [event.value for event in events_of(folder).Scalars("training/loss")]
        assert read == pytest.approx(recorded, rel=1e-6)


def test_a_tracker_that_there_is_not_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(GradscopeError, match="there is no tracker called 'tensorbord'; did you"):
        gradscope.run(SMALL, out=tmp_path / "run", log=["tensorbord"])
    assert not (tmp_path / "run").exists()
