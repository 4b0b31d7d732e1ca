"""A directory is made ready, or refused and left as it was."""

import pytest

from gradscope.errors import RunDirectoryError
from gradscope.results.preparation import continued, prepare_directory
from gradscope.results.records import RunDirectory
from tests.results.conftest import entry, outcome, run_by_hand, wanted


def test_what_is_damaged_is_set_aside_and_the_rest_stays(tmp_path):
    run = run_by_hand(tmp_path / "run")
    shard = run.path / "tables" / "trials" / "lstm201.parquet"
    shard.write_bytes(b"damaged")
    manifest, damaged = prepare_directory(run, run.manifest(), "cpu")
    assert [d.trial for d in damaged] == ["lstm201"]
    assert len(run.done()) == 7
    assert run.manifest() == manifest
    assert (run.path / "damaged/1/tables/trials/lstm201.parquet").read_bytes() == b"damaged"
    run.write_trial("lstm201", {"trials": outcome(0.05)}, {})
    assert prepare_directory(run, run.manifest(), "cpu").damaged == []


def test_a_lost_manifest_of_another_experiment(tmp_path):
    """The ledgers tell that what is recorded is not of this one."""
    run = run_by_hand(tmp_path / "run")
    run.manifest_path.unlink()
    with pytest.raises(RunDirectoryError, match="8 recorded trials that the experiment"):
        continued(run, wanted(entry("aaa")))


def test_a_lock_and_half_written_files_are_no_content(tmp_path):
    (tmp_path / "lock.json").write_text("{}")
    (tmp_path / ".manifest.json.1234.host-1.tmp").write_text("{")
    assert continued(RunDirectory(tmp_path), wanted(entry("aaa"))) is None


def test_what_a_lost_run_wrote_after_its_directory_was_gone_is_no_stranger(tmp_path):
    """Folders of the wanted trials alone, and neither manifest nor ledger: the run begins anew."""
    run = RunDirectory(tmp_path / "run")
    shards = run.path / "tables" / "trials"
    shards.mkdir(parents=True)
    (shards / "aaa.parquet").write_bytes(b"half of a trial")
    (shards / ".aaa.parquet.1234.host-1.tmp").write_bytes(b"")
    assert continued(run, wanted(entry("aaa"))) is None
    prepare_directory(run, wanted(entry("aaa")), "cpu")
    assert run.done() == set()


@pytest.mark.parametrize("stranger", ["tables/trials/bbb.parquet", "tables/mine.csv", "notes.txt"])
def test_folders_that_hold_anything_else_are_refused(tmp_path, stranger):
    run = RunDirectory(tmp_path / "run")
    for name in ("tables/trials/aaa.parquet", stranger):
        (run.path / name).parent.mkdir(parents=True, exist_ok=True)
        (run.path / name).write_bytes(b"")
    with pytest.raises(RunDirectoryError, match="is not a run directory"):
        continued(run, wanted(entry("aaa")))
