"""Tables of many trials in one file each: read as the shards are, and only while they say so."""

import os

import pytest

from gradscope.errors import DamagedError
from gradscope.results import gathered as module
from gradscope.results.damage import damage, set_aside
from gradscope.results.gathered import gather, gathered
from gradscope.results.reading import Reading
from gradscope.results.tables import load
from tests.results.conftest import run_by_hand


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run whose few trials count as many, gathered."""
    monkeypatch.setattr(module, "MANY", 2)
    run = run_by_hand(tmp_path / "run")
    before = load(run)
    frames = {name: before[name] for name in before}
    assert before.seconds
    gather(run)
    return run, frames


def ids(run):
    return [trial.id for trial in run.manifest().trials]


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def test_tables_are_those_of_the_shards(run, monkeypatch):
    directory, frames = run
    assert gathered(directory, ids(directory))
    monkeypatch.setattr(Reading, "table", None)  # no shard is read
    tables = load(directory)
    assert list(tables) == list(frames)
    for name, frame in frames.items():
        assert tables[name].equals(frame)
        assert list(tables[name].dtypes) == list(frame.dtypes)


def test_seconds_are_those_of_the_trials_without_their_files(run, monkeypatch):
    directory, _ = run
    whole = directory.timing()
    monkeypatch.setattr(Reading, "__init__", None)  # no ledger is read
    assert load(directory).seconds == whole


def test_a_run_of_few_trials_is_left_as_it_is(tmp_path):
    run = run_by_hand(tmp_path / "run")
    gather(run)
    assert not (run.path / "gathered").exists()


def test_a_changed_shard_is_read_and_named(run):
    directory, _ = run
    shard = next((directory.path / "tables" / "trials").glob("*.parquet"))
    flip(shard)
    with pytest.raises(DamagedError, match=shard.name):
        load(directory)["trials"]


def test_a_bit_that_flips_on_the_disk_is_not_computed_with_and_verifying_names_it(run):
    directory, frames = run
    shard = next((directory.path / "tables" / "trials").glob("*.parquet"))
    times = shard.stat()
    flip(shard)
    os.utime(shard, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert load(directory)["trials"].equals(frames["trials"])
    assert [one.file for one in damage(directory, directory.manifest())] == [
        shard.relative_to(directory.path).as_posix()
    ]


@pytest.mark.parametrize("part", ["ledger", "timing", "tables/trials"])
def test_it_holds_while_no_file_is_touched(run, part):
    directory, _ = run
    assert gathered(directory, ids(directory))
    os.utime(next((directory.path / part).iterdir()))
    assert gathered(directory, ids(directory)) is None
    gather(directory)
    assert gathered(directory, ids(directory))


def test_it_is_of_all_trials_alone(run):
    directory, _ = run
    assert gathered(directory, ids(directory)[1:]) is None


@pytest.mark.parametrize("name", ["trials.parquet", "index.json"])
def test_a_damaged_file_of_it_is_not_believed(run, name):
    directory, frames = run
    flip(directory.path / "gathered" / name)
    assert load(directory)["trials"].equals(frames["trials"])


def test_what_cannot_be_written_is_done_without(run, monkeypatch):
    directory, frames = run
    os.utime(next((directory.path / "ledger").iterdir()))

    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_atomically", full)
    gather(directory)
    assert load(directory)["trials"].equals(frames["trials"])


def test_a_trial_that_failed_is_not_waited_for_and_one_that_is_missing_is(run):
    directory, frames = run
    lost = ids(directory)[0]
    (directory.path / "ledger" / f"{lost}.json").unlink()
    gather(directory)
    assert gathered(directory, ids(directory)[1:]) is None
    directory.write_failure(lost, "out of memory")
    gather(directory)
    assert gathered(directory, ids(directory)[1:])
    assert set(load(directory)["trials"]["trial"]) == set(frames["trials"]["trial"]) - {lost}


def test_a_table_that_may_not_fit_memory_stays_in_its_shards(run, monkeypatch):
    directory, frames = run
    sizes = {name: Reading(directory, ids(directory)).size(name) for name in frames}
    largest = max(sizes, key=lambda name: sizes[name])
    monkeypatch.setattr(module, "_MOST", sizes[largest] - 1)
    os.utime(next((directory.path / "ledger").iterdir()))
    gather(directory)
    assert {path.stem for path in (directory.path / "gathered").glob("*.parquet")} == (
        set(frames) - {largest}
    )
    tables = load(directory)
    assert list(tables) == list(frames)
    assert tables[largest].equals(frames[largest])


def test_gathering_that_is_cut_off_leaves_nothing_to_be_believed(run, monkeypatch):
    directory, frames = run
    os.utime(next((directory.path / "ledger").iterdir()))
    write = module.write_atomically

    def killed(path, content):
        if path.name == "index.json":
            raise KeyboardInterrupt
        write(path, content[:-1])

    monkeypatch.setattr(module, "write_atomically", killed)
    with pytest.raises(KeyboardInterrupt):
        gather(directory)
    assert load(directory)["trials"].equals(frames["trials"])
    assert damage(directory, directory.manifest()) == []


@pytest.mark.parametrize("name", ["trials.parquet", "index.json"])
def test_verifying_names_a_damaged_one_which_spoils_no_trial(run, name):
    directory, frames = run
    flip(directory.path / "gathered" / name)
    (only,) = damage(directory, directory.manifest())
    assert (only.file, only.trial, only.spoils) == (f"gathered/{name}", "", False)
    set_aside(directory, [only])
    assert damage(directory, directory.manifest()) == []
    assert load(directory)["trials"].equals(frames["trials"])
