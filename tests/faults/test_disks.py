"""Places that are full, gone or may not be written to: one sentence, and the run goes on later."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.faults.conftest import drawn, many, tables_of, tried

pytestmark = pytest.mark.faults


@pytest.fixture
def disk(tmp_path):
    """Makes ``run`` a file system of its own, of so many kilobytes."""
    folder = tmp_path / "run"

    def mounted(kilobytes: int, *, writable: bool = True) -> Path:
        folder.mkdir(exist_ok=True)
        options = f"size={kilobytes}k,{'rw' if writable else 'ro'}"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("file systems can be mounted by an administrator alone")
        return folder

    yield mounted
    while subprocess.run(["umount", str(folder)], capture_output=True).returncode == 0:
        pass


def unmounted(folder: Path) -> None:
    """The kernel lets go of the files of a process that has ended a moment later."""
    for _ in range(50):
        if subprocess.run(["umount", str(folder)], capture_output=True).returncode == 0:
            return
        time.sleep(0.1)
    raise AssertionError(f"{folder} is still in use")


def resized(folder: Path, kilobytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(folder)], check=True)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_disk_that_is_full(workers, begin, disk, uninterrupted):
    """At whatever file that is: then it gets larger, and the run goes on."""
    chance = drawn(f"disks {workers}")
    for _ in range(many(50)):
        folder = disk(chance.randrange(8, 400, 4))
        process = begin(workers)
        _, said = process.communicate(timeout=300)
        assert "Traceback" not in said
        if process.returncode:
            assert process.returncode == 1
            assert "cannot be written: No space left on device" in said
            assert said.count("\n") == 1
        assert not list(folder.rglob("*.tmp"))
        assert not (folder / "lock.json").exists()
        resized(folder, 20_000)
        last = begin(1)
        assert last.communicate(timeout=300)[1] == ""
        assert last.returncode == 0
        assert tables_of(folder) == uninterrupted
        unmounted(folder)
        tried("a disk that is full")


def test_a_disk_that_turns_read_only(begin, disk):
    folder = disk(20_000)
    process = begin(2)
    while process.poll() is None and not (folder / "ledger").exists():
        pass
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "Traceback" not in said
    assert "cannot be written: Read-only file system" in said
    tried("a disk that turns read-only")


def test_a_directory_that_may_not_be_written_to(begin, disk):
    disk(64, writable=False)
    process = begin(1)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 1
    assert said.count("\n") == 1
    assert "cannot be written: Read-only file system" in said


def test_a_directory_that_vanishes(tmp_path, begin, uninterrupted):
    """It is made again from what stands, or the run ends with a sentence; a second one is whole."""
    process = begin(2)
    while process.poll() is None and not (tmp_path / "run" / "tables").exists():
        pass
    shutil.move(tmp_path / "run", tmp_path / "elsewhere")
    _, said = process.communicate(timeout=300)
    assert process.returncode in (0, 1)
    assert "Traceback" not in said
    last = begin(1)
    for line in last.communicate()[1].splitlines():  # of a trial whose files are in both places
        assert "it is missing; set aside in run/damaged; " in line
    assert last.returncode == 0
    assert tables_of(tmp_path / "run") == uninterrupted
    tried("a directory that vanishes")
