"""A run as its directory shows it to another process, look after look."""

import math

import pytest

from gradscope.errors import DamagedError, RunDirectoryError
from gradscope.results import running
from gradscope.results.following import Following
from gradscope.results.lock import locked
from gradscope.results.manifest import Manifest, TrialEntry
from gradscope.results.records import RunDirectory
from gradscope.results.running import Running, Taken

IDS = ["a", "b", "c", "d"]


@pytest.fixture
def run(tmp_path):
    """A run of four trials, none of which has begun."""
    directory = RunDirectory(tmp_path / "run")
    trials = [
        TrialEntry(id=name, configuration="lstm", axes={"cell": "lstm", "seed": f"seed {place}"})
        for place, name in enumerate(IDS)
    ]
    directory.write_manifest(Manifest(name="small", created="", trials=trials, provenance=[]))
    return directory


def record(run, trial, outcome):
    """Record a trial."""
    run.write_trial(trial, {"trials": {"outcome": [outcome]}}, {"total": 1.0})


def test_a_run_that_goes_on(run):
    following = Following(run)
    with locked(run.path):
        first = following.look()
        assert (first.recorded, first.of, first.left, first.ended) == (0, 4, 4, ())
        assert "process" in first.owner
        record(run, "b", "solved")
        Running(seconds_left=7.5, trials={"c": Taken(3, 10, 0.5)}).write(run.path)
        second = following.look()
        assert [(one.trial, one.label, one.outcome) for one in second.ended] == [
            ("b", "lstm · seed 1", "solved")
        ]
        assert [(entry.id, taken) for entry, taken in second.running] == [("c", (3, 10, 0.5))]
        assert (second.recorded, second.left, second.seconds_left) == (1, 2, 7.5)
        record(run, "c", "diverged")  # the file of what runs is a second behind
        third = following.look()
        assert [one.trial for one in third.ended] == ["c"]
        assert third.running == ()
        assert third.outcomes == {"solved": 1, "diverged": 1}


def test_what_nobody_is_at_does_not_run(run):
    Running(seconds_left=7.5, trials={"c": Taken(3, 10, 0.5)}).write(run.path)  # was killed
    look = Following(run).look()
    assert (look.owner, look.running, look.seconds_left, look.left) == ("", (), None, 4)


def test_a_trial_that_failed_before_is_tried_again(run):
    run.write_failure("a", "OSError: disk full")
    following = Following(run)
    idle = following.look()
    assert [(one.outcome, one.error) for one in idle.ended] == [("failed", "OSError: disk full")]
    assert (idle.failed, idle.recorded, idle.left) == (1, 0, 3)
    with locked(run.path):
        assert following.look().failed == 0
        Running(failed=["a"]).write(run.path)
        assert [one.trial for one in following.look().ended] == ["a"]
        record(run, "a", "unsolved")
        last = following.look()
    assert [one.outcome for one in last.ended] == ["unsolved"]
    assert (last.failed, last.recorded) == (0, 1)


def test_a_trial_that_is_set_aside_is_left_again(run):
    record(run, "a", "solved")
    following = Following(run)
    assert following.look().recorded == 1
    (run.path / "ledger" / "a.json").unlink()
    assert following.look().left == 4
    record(run, "a", "solved")
    assert [one.trial for one in following.look().ended] == ["a"]


def test_nothing_is_written(run):
    record(run, "a", "solved")
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    Following(run).look()
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before


def test_what_was_changed_is_named(run):
    record(run, "a", "solved")
    shard = run.path / "tables" / "trials" / "a.parquet"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(DamagedError, match=r"a\.parquet"):
        Following(run).look()
    with pytest.raises(RunDirectoryError, match="does not exist"):
        Following(RunDirectory(run.path / "nowhere")).look()


# --- what runs ------------------------------------------------------------------------------------


def test_what_is_written_is_read(tmp_path):
    said = Running(seconds_left=1.5, trials={"a": Taken(1, 2, 0.25)}, failed=["b"])
    said.write(tmp_path)
    assert Running.read(tmp_path) == said
    assert [path.name for path in tmp_path.iterdir()] == [running.NAME]
    Running(trials={"a": Taken(1, 2, math.nan)}).write(tmp_path)
    assert Running.read(tmp_path).trials["a"].loss is None
    running.remove(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["", "[]", "{", '{"trials": {"a": [1]}}', '{"failed": 3}'])
def test_a_file_that_says_nothing(tmp_path, content):
    (tmp_path / running.NAME).write_text(content)
    assert Running.read(tmp_path) == Running()


def test_where_nothing_can_be_written(tmp_path):
    Running().write(tmp_path / "nowhere")
    running.remove(tmp_path / "nowhere")
    assert not list(tmp_path.iterdir())
