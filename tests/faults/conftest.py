"""How much of each fault is tried, and runs that are to survive it.

``GRADSCOPE_FAULTS`` is the share of a whole run, 1 for all of it; ``GRADSCOPE_FAULTS_ROUND``
counts the parts of one that is made in several, each of which draws its own faults.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gradscope.experiment import Experiment
from gradscope.experiment.run import run_sweep
from gradscope.results.records import RunDirectory
from tests.conftest import Silent

SHARE = float(os.environ.get("GRADSCOPE_FAULTS", "0.02"))
ROUND = int(os.environ.get("GRADSCOPE_FAULTS_ROUND", "1"))

#: nine trials, of which each takes long enough to be met in the middle
SWEEP = """
task: {name: temporal_order, length: 12}
cell: {name: gru, hidden_size: 8}
training: {steps: 40, batch_size: 8}
evaluation: {every: 10, sequences: 50}
probes: [grad_norms, spectra, none]
sweep: {cell.name: [rnn, lstm, gru], seed: [0, 1, 2]}
"""
EXPERIMENT = Experiment.parse(SWEEP, default_name="killed")


def many(count: int) -> int:
    """The share of a count that is tried, at least one."""
    return max(1, round(count * SHARE))


def drawn(what: object) -> random.Random:
    """Random numbers of this round."""
    return random.Random(f"{what} {ROUND}")


def tried(what: str, count: int = 1) -> None:
    """Write down that something was tried, and went as promised."""
    if log := os.environ.get("GRADSCOPE_FAULTS_LOG"):
        with open(log, "a", encoding="utf-8") as stream:  # short lines are appended whole
            stream.write(json.dumps({"what": what, "count": count}) + "\n")


def tables_of(path: Path) -> dict[str, bytes]:
    """Every shard's content, column by column, bit for bit."""
    contents = {}
    for shard in sorted((path / "tables").rglob("*.parquet")):
        table = pq.read_table(shard, partitioning=None)
        contents[str(shard.relative_to(path))] = b"".join(
            buffer.to_pybytes()
            for column in table.columns
            for chunk in column.chunks
            for buffer in chunk.buffers()
            if buffer
        )
    return contents


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The tables of a run that nothing happens to."""
    path = tmp_path_factory.mktemp("sweep") / "whole"
    run_sweep(EXPERIMENT, RunDirectory(path), Silent())
    return tables_of(path)


@pytest.fixture
def begin(tmp_path: Path) -> Callable[..., subprocess.Popen]:
    """Starts ``gradscope run`` on the sweep, into ``run``, in a session of its own."""
    (tmp_path / "killed.yaml").write_text(SWEEP)

    def beginning(workers: int, *more: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "gradscope", "run", "killed.yaml", "--out", "run"]
        return subprocess.Popen(
            [*command, "--no-report", "--workers", str(workers), *more],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    return beginning
