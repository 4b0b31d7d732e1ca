"""Run directories: atomic, resumable, of one experiment."""

import json
import os

import pyarrow.parquet as pq
import pytest

from gradscope.errors import RunDirectoryError
from gradscope.results.records import RunDirectory, write_atomically

TRIALS = [{"id": "aaa"}, {"id": "bbb"}]


def run_at(path) -> RunDirectory:
    run = RunDirectory(path)
    run.prepare("name", {"question": "q"}, TRIALS, "cpu")
    return run


def test_round_trip_with_infinities(tmp_path):
    run = run_at(tmp_path / "run")
    run.write_trial(
        "aaa",
        {
            "trials": {"outcome": ["solved"]},
            "x": {"v": [1.5, float("-inf"), float("nan")], "t": range(3)},
        },
        {"total": 1},
    )
    table = run.read("x", ["aaa", "bbb"]).to_pydict()
    assert table["trial"] == ["aaa"] * 3
    assert table["v"][:2] == [1.5, float("-inf")]
    assert table["t"] == [0, 1, 2]
    assert run.done() == {"aaa"}
    assert run.timing() == {"aaa": {"total": 1}}
    column = pq.ParquetFile(tmp_path / "run/tables/x/aaa.parquet").metadata.row_group(0).column(1)
    assert column.compression == "ZSTD"
    assert "BYTE_STREAM_SPLIT" in column.encodings


def test_a_trial_counts_only_when_its_last_shard_is_there(tmp_path, monkeypatch):
    run = run_at(tmp_path / "run")
    real, written = os.replace, []

    def failing(source, target):
        if "trials" in str(target):
            raise OSError("disk full")
        written.append(target)
        real(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OSError, match="disk full"):
        run.write_trial("aaa", {"trials": {"outcome": ["solved"]}, "x": {"v": [1.0]}}, {})
    assert any("tables/x" in str(path) for path in written)
    assert run.done() == set()
    assert not list((tmp_path / "run").rglob("*.tmp"))


def test_temporaries_of_killed_writers_go_and_those_of_live_ones_stay(tmp_path):
    from gradscope.results.records import _host

    run = run_at(tmp_path / "run")
    dead = tmp_path / "run" / f".x.parquet.12345678.{_host()}-999999999.tmp"
    live = tmp_path / "run" / f".x.parquet.12345678.{_host()}-{os.getpid()}.tmp"
    elsewhere = tmp_path / "run" / ".x.parquet.12345678.otherhost-999999999.tmp"
    for path in (dead, live, elsewhere):
        path.write_text("half")
    run.prepare("name", {}, TRIALS, "cpu")
    assert not dead.exists()
    assert live.exists()
    assert elsewhere.exists()


def test_a_sweep_may_grow_and_not_lose_recorded_trials(tmp_path):
    run = run_at(tmp_path / "run")
    run.write_trial("aaa", {"trials": {"outcome": ["solved"]}}, {})
    created = run.manifest()["created"]
    run.prepare("name", {}, [*TRIALS, {"id": "ccc"}], "cpu")
    assert len(run.manifest()["trials"]) == 3
    assert run.manifest()["created"] == created
    before = run.manifest_path.read_bytes()
    with pytest.raises(
        RunDirectoryError, match="1 recorded trial that the experiment, as it is now, does not have"
    ):
        run.prepare("name", {}, [{"id": "bbb"}], "cpu")
    with pytest.raises(RunDirectoryError, match="a run of the experiment 'name', not of 'other'"):
        run.prepare("other", {}, TRIALS, "cpu")
    assert run.manifest_path.read_bytes() == before


def test_a_directory_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunDirectoryError, match="exists and is not a run directory"):
        run_at(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(RunDirectoryError, match="exists and is not a run directory"):
        run_at(tmp_path / "thesis.tex")


def test_reading_what_is_no_run(tmp_path):
    with pytest.raises(RunDirectoryError, match="does not exist"):
        RunDirectory(tmp_path / "nowhere").manifest()
    with pytest.raises(RunDirectoryError, match=r"holds no manifest\.json"):
        RunDirectory(tmp_path).manifest()
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(RunDirectoryError, match="cannot be read"):
        RunDirectory(tmp_path).manifest()
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(RunDirectoryError, match="format 99"):
        RunDirectory(tmp_path).manifest()


def test_the_report_of_an_attached_model_is_no_run(tmp_path):
    (tmp_path / "findings.json").write_text("[]")
    with pytest.raises(RunDirectoryError, match="is the report of an attached model, no run"):
        RunDirectory(tmp_path).manifest()


def test_a_damaged_shard_is_named(tmp_path):
    run = run_at(tmp_path / "run")
    run.write_trial("aaa", {"trials": {"outcome": ["solved"]}}, {})
    (tmp_path / "run/tables/trials/aaa.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(RunDirectoryError, match=r"aaa\.parquet: damaged"):
        run.read("trials", ["aaa"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_directory(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(RunDirectoryError, match="cannot be written"):
        run_at(tmp_path / "run")


def test_a_directory_that_cannot_be_made():
    with pytest.raises(RunDirectoryError, match="cannot be written"):
        run_at("/proc/nothing/run")


def test_writing_leaves_the_old_file_or_the_new_one(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")
    monkeypatch.setattr(os, "fsync", lambda fd: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_every_stretch_of_work_says_where_it_was_done(tmp_path):
    run = run_at(tmp_path / "run")
    assert [stretch["device"] for stretch in run.manifest()["provenance"]] == ["cpu"]
    run.prepare("name", {}, TRIALS, "cpu")
    assert len(run.manifest()["provenance"]) == 1
    run.prepare("name", {}, TRIALS, "cuda")
    assert [stretch["device"] for stretch in run.manifest()["provenance"]] == ["cpu", "cuda"]
    for trial in ("aaa", "bbb"):
        run.write_trial(trial, {"trials": {"outcome": ["solved"]}}, {})
    run.prepare("name", {}, TRIALS, "cpu")  # nothing is missing, so nothing is done here
    assert len(run.manifest()["provenance"]) == 2


def test_failures_of_trials_that_are_no_longer_there_are_forgotten(tmp_path):
    run = run_at(tmp_path / "run")
    run.write_json("failures", "aaa", {"error": "x", "traceback": ""})
    assert set(run.failures()) == {"aaa"}
    run.prepare("name", {}, [{"id": "bbb"}], "cpu")
    assert run.failures() == {}


@pytest.mark.parametrize("content", ["[]", '{"format": 1}', "3"])
def test_a_damaged_manifest_is_named(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(RunDirectoryError, match=r"manifest\.json: (format|damaged)"):
        RunDirectory(tmp_path).manifest()


def test_damaged_timing_is_named(tmp_path):
    run = run_at(tmp_path / "run")
    (tmp_path / "run" / "timing").mkdir()
    (tmp_path / "run" / "timing" / "aaa.json").write_text("{")
    with pytest.raises(RunDirectoryError, match=r"aaa\.json: damaged"):
        run.timing()
