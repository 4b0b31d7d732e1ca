"""Run directories: atomic, resumable, of one experiment; what is damaged is named."""

import errno
import json
import os
import random

import pyarrow as pa
import pytest

from gradscope.errors import DamagedError, RunDirectoryError, StorageError
from gradscope.results.files import _place
from gradscope.results.manifest import PluginEntry
from gradscope.results.preparation import prepare_directory
from gradscope.results.records import RunDirectory
from tests.results.conftest import entry, wanted

TRIALS = [entry("aaa"), entry("bbb")]
SOLVED = {"trials": {"outcome": ["solved"]}}


def run_at(path) -> RunDirectory:
    run = RunDirectory(path)
    prepare_directory(run, wanted(*TRIALS, question="q"), "cpu")
    return run


# --- what is written is read -------------------------------------------------------------------


def test_round_trip_with_infinities(tmp_path):
    run = run_at(tmp_path / "run")
    run.write_trial(
        "aaa",
        {**SOLVED, "x": {"v": [1.5, float("-inf"), float("nan")], "t": range(3)}},
        {"total": 1.0},
        weights=b"tensors",
    )
    table = run.read("x", ["aaa", "bbb"]).to_pydict()
    assert table["trial"] == ["aaa"] * 3
    assert table["v"][:2] == [1.5, float("-inf")]
    assert str(table["v"][2]) == "nan"
    assert table["t"] == [0, 1, 2]
    assert run.done() == {"aaa"}
    assert run.tables() == ["trials", "x"]
    assert run.timing() == {"aaa": {"total": 1}}
    assert run.weights("aaa") == b"tensors"
    assert run.weights("bbb") is None


def test_every_bit_of_a_number_is_kept(tmp_path):
    run = run_at(tmp_path / "run")
    values = [random.Random(0).gauss(0, 1) * 10.0**power for power in range(-300, 300, 7)]
    run.write_trial("aaa", {**SOLVED, "x": {"v": [*values, 5e-324, -0.0]}}, {})
    read = run.read("x", ["aaa"])["v"].to_pylist()
    assert [value.hex() for value in read] == [v.hex() for v in [*values, 5e-324, -0.0]]


def test_a_table_that_is_not_there(tmp_path):
    run = run_at(tmp_path / "run")
    assert run.read("x", ["aaa"]) is None
    assert run.tables() == []
    assert run.timing() == {}
    assert repr(run) == f"RunDirectory({str(tmp_path / 'run')!r})"


def test_tables_of_several_trials_go_together(tmp_path):
    """A column that one trial lacks is empty there; whole numbers and fractions are numbers."""
    run = run_at(tmp_path / "run")
    run.write_trial("aaa", {**SOLVED, "x": {"v": [1, 2]}}, {})
    run.write_trial("bbb", {**SOLVED, "x": {"v": [0.5], "w": ["a"]}}, {})
    assert run.read("x", ["aaa", "bbb"]).to_pydict() == {
        "trial": ["aaa", "aaa", "bbb"],
        "v": [1.0, 2.0, 0.5],
        "w": [None, None, "a"],
    }


def test_tables_that_do_not_go_together_are_named(tmp_path):
    run = run_at(tmp_path / "run")
    run.write_trial("aaa", {**SOLVED, "x": {"v": [1, 2]}}, {})
    run.write_trial("bbb", {**SOLVED, "x": {"v": ["a"]}}, {})
    with pytest.raises(RunDirectoryError, match=r"tables/x: the trials' columns do not go"):
        run.read("x", ["aaa", "bbb"])


def test_columns_of_different_lengths_are_not_written(tmp_path):
    run = run_at(tmp_path / "run")
    with pytest.raises(pa.ArrowInvalid):
        run.write_trial("aaa", {**SOLVED, "x": {"v": [1], "w": [1, 2]}}, {})
    assert run.done() == set()


# --- killed, and continued ---------------------------------------------------------------------


def test_a_trial_counts_only_when_its_ledger_is_there(tmp_path, monkeypatch):
    run = run_at(tmp_path / "run")
    real, written = os.replace, []

    def failing(source, target):
        if "ledger" in str(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(target)
        real(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(StorageError, match="cannot be written: No space left on device"):
        run.write_trial("aaa", {**SOLVED, "x": {"v": [1.0]}}, {})
    assert any("tables/x" in str(path) for path in written)
    assert run.done() == set()
    assert not list((tmp_path / "run").rglob("*.tmp"))


def test_temporaries_of_killed_writers_go_and_those_of_live_ones_stay(tmp_path):
    run = run_at(tmp_path / "run")
    dead = tmp_path / "run" / f".x.parquet.12345678.{_place()}-999999999.tmp"
    live = tmp_path / "run" / f".x.parquet.12345678.{_place()}-{os.getpid()}.tmp"
    elsewhere = tmp_path / "run" / ".x.parquet.12345678.otherhost-999999999.tmp"
    for path in (dead, live, elsewhere):
        path.write_text("half")
    prepare_directory(run, wanted(*TRIALS), "cpu")
    assert not dead.exists()
    assert live.exists()
    assert elsewhere.exists()


def test_a_sweep_may_grow_and_not_lose_recorded_trials(tmp_path):
    run = run_at(tmp_path / "run")
    run.write_trial("aaa", SOLVED, {})
    created = run.manifest().created
    prepare_directory(run, wanted(*TRIALS, entry("ccc")), "cpu")
    assert len(run.manifest().trials) == 3
    assert run.manifest().created == created
    before = run.manifest_path.read_bytes()
    with pytest.raises(
        RunDirectoryError, match="1 recorded trial that the experiment, as it is now, does not have"
    ):
        prepare_directory(run, wanted(entry("bbb")), "cpu")
    with pytest.raises(RunDirectoryError, match="a run of the experiment 'name', not of 'other'"):
        prepare_directory(run, wanted(*TRIALS, name="other"), "cpu")
    assert run.manifest_path.read_bytes() == before


def test_what_changed_since_is_named(tmp_path):
    def trial(name, **settings):
        return entry(name).model_copy(update={"settings": settings})

    run = RunDirectory(tmp_path / "run")
    before = trial("aaa", training={"steps": 400}, cell={"name": "rnn"})
    prepare_directory(run, wanted(before), "cpu")
    run.write_trial("aaa", SOLVED, {})
    now = [
        trial("bbb", training={"steps": 20, "batch": 3}, cell={"name": "lstm"}),
        trial("ccc", training={"steps": 20}, cell={"name": "rnn"}),
    ]
    with pytest.raises(RunDirectoryError, match=r"have \(training.steps was 400, is 20\); give"):
        prepare_directory(run, wanted(*now), "cpu")


def test_words_may_change(tmp_path):
    run = run_at(tmp_path / "run")
    manifest = prepare_directory(run, wanted(*TRIALS, question="better put"), "cpu").manifest
    assert manifest.question == "better put"
    assert run.manifest() == manifest


def test_every_stretch_of_work_says_where_it_was_done(tmp_path):
    run = run_at(tmp_path / "run")
    assert [stretch.device for stretch in run.manifest().provenance] == ["cpu"]
    prepare_directory(run, wanted(*TRIALS), "cpu")
    assert len(run.manifest().provenance) == 1
    prepare_directory(run, wanted(*TRIALS), "cuda")
    assert [stretch.device for stretch in run.manifest().provenance] == ["cpu", "cuda"]
    assert all(stretch.since for stretch in run.manifest().provenance)
    for trial in ("aaa", "bbb"):
        run.write_trial(trial, SOLVED, {})
    prepare_directory(run, wanted(*TRIALS), "cpu")  # nothing is missing, so nothing is done here
    assert len(run.manifest().provenance) == 2


def test_failures_are_kept_until_the_trial_is_recorded(tmp_path):
    run = run_at(tmp_path / "run")
    run.write_failure("aaa", "x")
    assert run.failures() == {"aaa": {"error": "x", "traceback": ""}}
    run.write_trial("aaa", SOLVED, {})
    assert run.failures() == {}
    assert not list((tmp_path / "run" / "failures").iterdir())


def test_failures_of_trials_that_are_no_longer_there_are_forgotten(tmp_path):
    run = run_at(tmp_path / "run")
    run.write_failure("aaa", "x")
    assert set(run.failures()) == {"aaa"}
    prepare_directory(run, wanted(entry("bbb")), "cpu")
    assert run.failures() == {}


# --- plugins -----------------------------------------------------------------------------------


def plugin(path: str, sha256: str, *components: str) -> PluginEntry:
    return PluginEntry(path=path, sha256=sha256, components=list(components))


def test_a_run_does_not_go_on_with_a_changed_plugin(tmp_path):
    run = RunDirectory(tmp_path / "run")
    first = plugin("/a/mine.py", "1" * 64, "clip half", "probe mine")
    prepare_directory(run, wanted(*TRIALS, plugins=[first]), "cpu")
    prepare_directory(run, wanted(*TRIALS, plugins=[first]), "cpu")
    before = run.manifest_path.read_bytes()
    for changed in (
        plugin("/a/mine.py", "2" * 64, "clip half", "probe mine"),
        plugin("/moved/mine.py", "2" * 64, "clip half"),
    ):
        with pytest.raises(RunDirectoryError, match="began with another version of the clip half"):
            prepare_directory(run, wanted(*TRIALS, plugins=[changed]), "cpu")
    assert run.manifest_path.read_bytes() == before


def test_two_plugins_may_share_a_component(tmp_path):
    run = RunDirectory(tmp_path / "run")
    both = [
        plugin("/a/base.py", "1" * 64, "clip half"),
        plugin("/a/heir.py", "2" * 64, "clip half", "clip heir"),
    ]
    prepare_directory(run, wanted(*TRIALS, plugins=both), "cpu")
    assert prepare_directory(run, wanted(*TRIALS, plugins=both), "cpu").manifest.plugins == both
    with pytest.raises(RunDirectoryError, match="another version of the clip half"):
        prepare_directory(
            run, wanted(*TRIALS, plugins=[plugin("/a/heir.py", "3" * 64, "clip half")]), "cpu"
        )


def test_a_changed_plugin_is_told_before_the_trials_that_it_changes(tmp_path):
    run = RunDirectory(tmp_path / "run")
    prepare_directory(
        run, wanted(*TRIALS, plugins=[plugin("/a/m.py", "1" * 64, "clip half")]), "cpu"
    )
    run.write_trial("aaa", SOLVED, {})
    changed = wanted(entry("ccc"), plugins=[plugin("/a/m.py", "2" * 64, "clip half")])
    with pytest.raises(RunDirectoryError, match=r"SHA-256 was 1+ and now is 2+"):
        prepare_directory(run, changed, "cpu")


def test_a_plugin_may_be_moved_and_others_may_join(tmp_path):
    run = RunDirectory(tmp_path / "run")
    prepare_directory(
        run, wanted(*TRIALS, plugins=[plugin("/a/mine.py", "1" * 64, "clip half")]), "cpu"
    )
    moved = plugin("/b/mine.py", "1" * 64, "clip half")
    other = plugin("/b/other.py", "2" * 64, "probe mine")
    manifest = prepare_directory(run, wanted(*TRIALS, plugins=[moved, other]), "cpu").manifest
    assert manifest.plugins == [moved, other]


# --- what is no run ----------------------------------------------------------------------------


def test_a_directory_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunDirectoryError, match="exists and is not a run directory"):
        run_at(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(RunDirectoryError, match="exists and is not a run directory"):
        run_at(tmp_path / "thesis.tex")


def test_an_empty_directory_becomes_a_run(tmp_path):
    run_at(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["manifest.json"]


def test_reading_what_is_no_run(tmp_path):
    with pytest.raises(RunDirectoryError, match="does not exist"):
        RunDirectory(tmp_path / "nowhere").manifest()
    with pytest.raises(RunDirectoryError, match=r"holds no manifest\.json"):
        RunDirectory(tmp_path).manifest()
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(DamagedError, match=r"manifest\.json: damaged"):
        RunDirectory(tmp_path).manifest()
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(RunDirectoryError, match="format 99"):
        RunDirectory(tmp_path).manifest()


def test_the_report_of_a_scope_is_no_run(tmp_path):
    (tmp_path / "findings.json").write_text("[]")
    with pytest.raises(RunDirectoryError, match="is the report of a scope, no run"):
        RunDirectory(tmp_path).manifest()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_directory(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(RunDirectoryError, match="cannot be written"):
        run_at(tmp_path / "run")


def test_a_directory_that_cannot_be_made():
    with pytest.raises(StorageError, match="cannot be written"):
        run_at("/proc/nothing/run")


# --- damage ------------------------------------------------------------------------------------


def test_a_damaged_shard_is_named(tmp_path):
    run = run_at(tmp_path / "run")
    run.write_trial("aaa", SOLVED, {})
    (tmp_path / "run/tables/trials/aaa.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DamagedError, match=r"aaa\.parquet: damaged: it ends after 7 of \d+ bytes"):
        run.read("trials", ["aaa"])
    (tmp_path / "run/tables/trials/aaa.parquet").unlink()
    with pytest.raises(DamagedError, match=r"aaa\.parquet: damaged: it is missing"):
        run.read("trials", ["aaa"])


def test_a_shard_that_no_ledger_knows_is_named(tmp_path):
    run = run_at(tmp_path / "run")
    run.write_trial("aaa", SOLVED, {})
    (tmp_path / "run/tables/x").mkdir()
    (tmp_path / "run/tables/x/aaa.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DamagedError, match="its trial's ledger does not know it"):
        run.read("x", ["aaa"])
    assert run.tables() == ["trials"]


def test_half_a_manifest_is_named(tmp_path):
    run = run_at(tmp_path / "run")
    whole = run.manifest_path.read_bytes()
    for end in range(0, len(whole), 50):
        run.manifest_path.write_bytes(whole[:end])
        with pytest.raises(DamagedError, match=r"manifest\.json: damaged"):
            run.manifest()
        with pytest.raises(DamagedError, match=r"manifest\.json: damaged"):
            prepare_directory(run, wanted(*TRIALS), "cpu")  # nor is there a ledger


@pytest.mark.parametrize("content", ["{", "[]", '{"total": "long"}', '{"total": null}', ""])
def test_what_failed_is_said_though_the_reason_is_damaged(tmp_path, content):
    run = run_at(tmp_path / "run")
    run.write_failure("aaa", "x")
    (tmp_path / "run" / "failures" / "aaa.json").write_text(content)
    assert "can no longer be read" in run.failures()["aaa"]["error"]
