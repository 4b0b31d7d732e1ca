"""Bits that flip, and ends that are lost: every one is noticed, and the file is named."""

import os
import re

import pytest

from gradscope.errors import RunDirectoryError
from gradscope.results import gathered
from gradscope.results.records import RunDirectory
from gradscope.results.tables import load
from tests.faults.conftest import drawn, many, tried
from tests.results.conftest import outcome, run_by_hand

pytestmark = pytest.mark.faults


def read(run: RunDirectory) -> None:
    """Everything that a run holds."""
    run.manifest()
    run.timing()
    for table in run.tables():
        run.read(table, run.done())
    for trial in run.done():
        run.weights(trial)


@pytest.fixture
def whole(tmp_path):
    """A run with a file of every kind."""
    run = run_by_hand(tmp_path / "run")
    run.write_trial("lstm201", {"trials": outcome(0.05)}, {"total": 1.0}, b"weights")
    return run


def files_of(run):
    """Every file of it."""
    files = sorted(path for path in run.path.rglob("*") if path.is_file())
    assert {path.parent.name for path in files} >= {"run", "ledger", "timing", "weights", "trials"}
    return files


def test_every_flipped_bit_is_noticed(whole):
    chance, files = drawn("flips"), files_of(whole)
    for _ in range(many(5000)):
        path = chance.choice(files)
        before = path.read_bytes()
        content = bytearray(before)
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(bytes(content))
        with pytest.raises(RunDirectoryError, match=re.escape(str(path))):
            read(whole)
        path.write_bytes(before)
        tried("a flipped bit")
    read(whole)


def test_every_lost_end_is_noticed(whole):
    chance, files = drawn("ends"), files_of(whole)
    for _ in range(many(1000)):
        path = chance.choice(files)
        before = path.read_bytes()
        path.write_bytes(before[: chance.randrange(len(before))])
        with pytest.raises(RunDirectoryError, match=re.escape(str(path))):
            read(whole)
        path.write_bytes(before)
        tried("a file cut short")
    read(whole)


def test_no_flipped_bit_changes_what_is_read_of_gathered_tables(whole, monkeypatch):
    """A trial's file is named; a gathered one is done without."""
    monkeypatch.setattr(gathered, "MANY", 2)
    gathered.gather(whole)
    expected = load(whole)
    assert len(expected)
    assert expected.seconds
    assert all(len(frame) for frame in expected.values())  # read while nothing is wrong
    chance, files = drawn("gathered"), files_of(whole)
    for _ in range(many(2000)):
        path = chance.choice(files)
        before, times = path.read_bytes(), path.stat()
        content = bytearray(before)
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(bytes(content))
        try:
            found = load(whole)
            frames, seconds = dict(found), found.seconds
        except RunDirectoryError as error:
            named = str(path) in str(error)
        else:
            named = False
            assert frames.keys() == expected.keys()
            assert all(frames[name].equals(expected[name]) for name in frames)
            assert seconds == expected.seconds
        assert named or path.parent.name in ("gathered", "weights")
        path.write_bytes(before)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        tried("a flipped bit beside gathered tables")
