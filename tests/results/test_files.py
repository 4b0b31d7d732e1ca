"""Files are whole or not there, whatever kills who writes them."""

import errno
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from gradscope.errors import StorageError
from gradscope.results import files
from gradscope.results.files import _place, remove_temporaries, write_atomically


def test_writing_makes_the_folder_and_replaces_the_file(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyboardInterrupt, KeyboardInterrupt),
        (OSError(errno.ENOSPC, "No space left"), StorageError),
    ],
)
def test_writing_leaves_the_old_file_or_the_new_one(step, error, told, tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(*arguments):
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(told):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_it_is_on_disk_before_it_is_in_place(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("fsync"), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda *a: (calls.append("replace"), replace(*a)))
    write_atomically(tmp_path / "file", b"new")
    assert calls == ["fsync", "replace", "fsync"]  # the file, its name, and the folder


WRITER = """
import sys
from pathlib import Path
from gradscope.results.files import write_atomically
path, size = Path(sys.argv[1]), 400_000
for letter in b"ab" * 10**6:
    write_atomically(path, bytes([letter]) * size)
"""


def test_a_writer_that_is_killed_leaves_a_whole_file(tmp_path):
    """SIGKILL at three moments: what stands there is one letter throughout, in full length."""
    path = tmp_path / "file"
    for moment in range(3):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])
        started = time.monotonic()
        before = path.stat().st_mtime_ns if path.exists() else 0
        while time.monotonic() - started < 60:
            if path.exists() and path.stat().st_mtime_ns != before:
                break
            time.sleep(0.002)
        time.sleep(0.004 * moment)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        content = path.read_bytes()
        assert len(content) == 400_000
        assert len(set(content)) == 1
    remove_temporaries(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_temporaries_of_killed_writers_go_and_those_of_live_ones_stay(tmp_path):
    inner = tmp_path / "tables" / "x"
    inner.mkdir(parents=True)
    dead = inner / f".x.parquet.12345678.{_place()}-999999999.tmp"
    live = inner / f".x.parquet.12345678.{_place()}-{os.getpid()}.tmp"
    elsewhere = tmp_path / ".x.parquet.12345678.otherhost-999999999.tmp"
    not_ours = tmp_path / ".of_an_editor.tmp"
    for path in (dead, live, elsewhere, not_ours):
        path.write_text("half")
    remove_temporaries(tmp_path)
    assert not dead.exists()
    assert live.exists()
    assert elsewhere.exists()
    assert not_ours.exists()
    long_ago = time.time() - 2 * files._ABANDONED
    for path in (elsewhere, not_ours):
        os.utime(path, (long_ago, long_ago))
    remove_temporaries(tmp_path)
    assert not elsewhere.exists()
    assert not_ours.exists()


def test_a_process_number_is_one_of_a_machine_and_of_a_numbering(monkeypatch):
    """Two containers of one host name have processes of the same numbers."""
    here = files._place()
    monkeypatch.setattr(os, "readlink", lambda path: "pid:[1]")
    assert files._place() != here
    assert files._place().isidentifier() or files._place()[0].isdigit()


def test_temporaries_of_a_writer_that_was_not_waited_for_go(tmp_path):
    """Such a process still has its number (a zombie), and writes nothing any more."""
    writer = subprocess.Popen([sys.executable, "-c", "pass"])
    try:
        while psutil.Process(writer.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        path = tmp_path / f".x.parquet.12345678.{_place()}-{writer.pid}.tmp"
        path.write_text("half")
        remove_temporaries(tmp_path)
        assert not path.exists()
    finally:
        writer.wait()


def test_temporaries_of_an_earlier_process_with_the_same_number_go(tmp_path):
    path = tmp_path / f".x.parquet.12345678.{_place()}-{os.getpid()}.tmp"
    path.write_text("half")
    before_this_process = psutil.Process().create_time() - 60
    os.utime(path, (before_this_process, before_this_process))
    remove_temporaries(tmp_path)
    assert not path.exists()
