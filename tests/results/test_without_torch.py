"""Reading a run needs no torch and no plot: a subprocess loads one and imports neither."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.results.conftest import run_by_hand

HEAVY = ("torch", "matplotlib", "seaborn", "dask", "distributed")

READ = """
import sys
from gradscope.results import predictions, summary, tables, verdict
from gradscope.results.records import RunDirectory

run = RunDirectory(sys.argv[1])
manifest, loaded = run.manifest(), tables.load(run)
frame = summary.summary(loaded, manifest.tasks)
assert len(summary.formatted(frame, manifest.tasks)) == 4
assert len(verdict.verdict(loaded, manifest.tasks)) > 3
assert predictions.predictions(loaded, manifest.expect, manifest.tasks)["held"].tolist() == [True]
"""
IMPORT = "import sys, {module}"
SAY = "\nprint(*sorted(set(sys.modules) & set(sys.argv[2:])))"


def heavy_modules(code: str, path: Path) -> list[str]:
    """Which of the heavy packages a fresh interpreter has imported after running the code."""
    done = subprocess.run(
        [sys.executable, "-c", code + SAY, str(path), *HEAVY],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_run_is_read_without_them(tmp_path):
    run = run_by_hand(tmp_path / "run")
    assert heavy_modules(READ, run.path) == []


@pytest.mark.parametrize("module", ["gradscope.components", "gradscope.results", "gradscope"])
def test_importing_needs_none_of_them(module, tmp_path):
    assert heavy_modules(IMPORT.format(module=module), tmp_path) == []


def test_the_question_can_be_answered_with_yes(tmp_path):
    assert heavy_modules("import sys, matplotlib", tmp_path) == ["matplotlib"]
