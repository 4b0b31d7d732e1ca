"""Runs of one directory at once: one has it, the others are told who."""

import subprocess
import sys

import pytest

from tests.faults.conftest import many, tables_of, tried

pytestmark = pytest.mark.faults

HOLD = """
import sys, time
from pathlib import Path
from gradscope.results.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(3)
"""


def test_one_of_many_locks(tmp_path):
    """Eight processes want it at one moment; a late one may find it free again, but never two."""
    for turn in range(many(20)):
        wanting = [
            subprocess.Popen(
                [sys.executable, "-c", HOLD, str(tmp_path / str(turn))],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            for _ in range(8)
        ]
        held = [process.communicate()[0] == "held\n" for process in wanting]
        assert held.count(True) >= 1
        assert all(process.returncode in (0, 1) for process in wanting)
        tried("eight processes that want one lock")


def test_two_runs_started_together(tmp_path, begin, uninterrupted):
    for _ in range(many(20)):
        both = [begin(1), begin(1)]
        said = [process.communicate(timeout=300)[1] for process in both]
        codes = sorted(process.returncode for process in both)
        assert codes in ([0, 0], [0, 2])  # the later one may find all done
        if codes == [0, 2]:
            assert any("is in use by another run (process " in text for text in said)
        assert tables_of(tmp_path / "run") == uninterrupted
        tried("two runs of one directory")
