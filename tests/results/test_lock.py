"""Two runs of one directory exclude each other, and none is kept out by one that is gone."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gradscope.errors import RunDirectoryError, StorageError
from gradscope.results import lock
from gradscope.results.lock import NAME, Watch, locked

HOLD = """
import sys, time
from pathlib import Path
from gradscope.results.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def take(folder):
    """Hold the lock for a moment."""
    with locked(folder):
        pass


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock of ``tmp_path``."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_lock_is_there_while_it_is_held(tmp_path):
    with locked(tmp_path / "new"):
        holder = json.loads((tmp_path / "new" / NAME).read_text())
        assert holder["pid"] == os.getpid()
        assert [path.name for path in (tmp_path / "new").iterdir()] == [NAME]
    assert not list((tmp_path / "new").iterdir())


def test_a_second_run_is_refused_and_told_by_whom(tmp_path, other):
    with pytest.raises(RunDirectoryError, match=f"in use by another run .process {other.pid} of"):
        take(tmp_path)
    assert json.loads((tmp_path / NAME).read_text())["pid"] == other.pid
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_within_one_process_too(tmp_path):
    with locked(tmp_path), pytest.raises(RunDirectoryError, match="in use by another run"):
        take(tmp_path)
    take(tmp_path)


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path, other):
    other.kill()
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)  # a zombie yet
    with locked(tmp_path):
        assert json.loads((tmp_path / NAME).read_text())["pid"] == os.getpid()
    other.wait()


@pytest.mark.parametrize("holder", ["{}", "", "[]", '{"system": "elsewhere", "pid": 1}'])
def test_another_machines_lock_counts_while_it_is_touched(tmp_path, holder):
    (tmp_path / NAME).write_text(holder)
    with pytest.raises(RunDirectoryError, match="in use by another run"), locked(tmp_path):
        pass
    long_ago = time.time() - 10 * lock._STALE
    os.utime(tmp_path / NAME, (long_ago, long_ago))
    with locked(tmp_path):
        assert json.loads((tmp_path / NAME).read_text())["pid"] == os.getpid()


def test_a_lock_that_is_held_is_touched(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "_BEAT", 0.02)
    with locked(tmp_path):
        os.utime(tmp_path / NAME, (0, 0))
        deadline = time.monotonic() + 10
        while (tmp_path / NAME).stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (tmp_path / NAME).stat().st_mtime > 0


def test_a_lock_is_given_back_by_its_owner_alone(tmp_path):
    with locked(tmp_path):
        (tmp_path / NAME).write_text('{"pid": 1}')
    assert (tmp_path / NAME).read_text() == '{"pid": 1}'


def test_a_file_system_without_hard_links(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    with locked(tmp_path):
        assert json.loads((tmp_path / NAME).read_text())["pid"] == os.getpid()
        with pytest.raises(RunDirectoryError, match="in use"), locked(tmp_path):
            pass
    assert not list(tmp_path.iterdir())


def test_where_nothing_can_be_written():
    with pytest.raises(StorageError, match="cannot be written"), locked(Path("/proc/nothing")):
        pass


# --- seen from outside ----------------------------------------------------------------------------


def test_an_owner_is_named_while_it_lives(tmp_path, other):
    watch = Watch(tmp_path)
    assert f"process {other.pid} of " in watch.owner()
    other.kill()
    other.wait()
    assert watch.owner() == ""
    assert (tmp_path / NAME).exists()
    assert Watch(tmp_path / "nowhere").owner() == ""


def test_an_owner_elsewhere_lives_while_its_lock_is_touched(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(lock.time, "monotonic", lambda: now[0])
    (tmp_path / NAME).write_text('{"system": "elsewhere", "pid": 1, "host": "there"}')
    os.utime(tmp_path / NAME, (5, 5))  # by a clock of its own
    watch = Watch(tmp_path)
    assert "process 1 of ? on there" in watch.owner()
    now[0] = lock._STALE + 1
    assert watch.owner() == ""
    os.utime(tmp_path / NAME, (10, 10))
    assert watch.owner()
