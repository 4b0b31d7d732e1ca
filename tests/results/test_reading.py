"""Tables read shard by shard: in the order of the trials, each against its ledger."""

import pytest

from gradscope.errors import DamagedError
from gradscope.results import reading as module
from gradscope.results.reading import Reading
from tests.results.conftest import run_by_hand


@pytest.fixture
def run(tmp_path):
    return run_by_hand(tmp_path / "run")


def ids(run):
    return [trial.id for trial in run.manifest().trials]


@pytest.mark.parametrize("small", [0, 2**40], ids=["threads", "one thread"])
def test_a_table_has_the_shards_in_the_order_of_the_trials(run, monkeypatch, small):
    monkeypatch.setattr(module, "_SMALL", small)
    trials = ids(run)[::-1]
    reading = Reading(run, trials)
    assert reading.names == run.tables()
    assert reading.table("trials")["trial"].to_pylist() == trials
    assert reading.table("trials").to_pandas().equals(run.read("trials", trials).to_pandas())


def test_seconds_are_those_of_these_trials(run):
    first = ids(run)[0]
    assert Reading(run, [first]).seconds() == {first: run.timing()[first]}


def test_its_size_is_that_of_the_files_that_are_there(run):
    files = list((run.path / "tables" / "trials").glob("*.parquet"))
    reading = Reading(run, ids(run))
    assert reading.size("trials") == sum(file.stat().st_size for file in files)
    files[0].unlink()
    assert reading.size("trials") == sum(file.stat().st_size for file in files[1:])


def test_a_shard_that_is_missing_or_that_no_ledger_knows_is_named(run):
    reading, first = Reading(run, ids(run)), ids(run)[0]
    extra = run.path / "tables" / "extra" / f"{first}.parquet"
    extra.parent.mkdir()
    extra.write_bytes(b"what")
    with pytest.raises(DamagedError, match="its trial's ledger does not know it"):
        Reading(run, ids(run)).table("extra")
    (run.path / "tables" / "trials" / f"{first}.parquet").unlink()
    with pytest.raises(DamagedError, match=f"{first}.parquet: damaged: it is missing"):
        reading.table("trials")
