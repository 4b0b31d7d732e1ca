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
