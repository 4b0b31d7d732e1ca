"""Sweeps: the same tables whatever kills, resumes or shares the work."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gradscope.experiment import Experiment
from gradscope.experiment.run import prepare, run_sweep
from gradscope.results.records import RunDirectory
from tests.conftest import Silent

TEXT = """
task: {name: temporal_order, length: 12}
cell: {name: gru, hidden_size: 8}
training: {steps: 40, batch_size: 8}
evaluation: {every: 10, sequences: 50}
sweep: {cell.name: [rnn, lstm, gru], seed: [0, 1, 2]}
"""


def tables_of(path: Path) -> dict[str, bytes]:
    """Every shard's content, column by column, bit for bit."""
    found = {}
    for shard in sorted((path / "tables").rglob("*.parquet")):
        table = pq.read_table(shard, partitioning=None)
        found[str(shard.relative_to(path))] = b"".join(
            buffer.to_pybytes()
            for column in table.columns
            for chunk in column.chunks
            for buffer in chunk.buffers()
            if buffer
        )
    return found


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    path = tmp_path_factory.mktemp("sweep") / "whole"
    run_sweep(Experiment.parse(TEXT, default_name="killed"), RunDirectory(path), Silent())
    return tables_of(path)


def command(folder: Path, workers: int) -> list[str]:
    experiment = folder / "killed.yaml"
    experiment.write_text(TEXT)
    return [
        sys.executable,
        "-m",
        "gradscope",
        "run",
        str(experiment),
        "--out",
        str(folder / "run"),
        "--no-report",
        "--workers",
        str(workers),
    ]


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_random_moments_and_resumed(workers, tmp_path, uninterrupted):
    """SIGKILL to the whole process group until the run gets through; the tables are those of an
    uninterrupted run.
    """
    chance, environment = random.Random(workers), {**os.environ, "OMP_NUM_THREADS": "1"}
    kills = 0
    for patience in (*[None] * 4, 200):
        process = subprocess.Popen(
            command(tmp_path, workers),
            env=environment,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        started, done = time.monotonic(), RunDirectory(tmp_path / "run").done()
        # let it record something new before the kill, then a random moment more
        while patience is None and process.poll() is None and time.monotonic() - started < 60:
            if RunDirectory(tmp_path / "run").done() - done:
                time.sleep(chance.uniform(0, 0.4))
                break
            time.sleep(0.01)
        if patience is not None:
            assert process.wait(patience) == 0
        elif process.poll() is None:
            kills += 1
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert kills >= 1, "the run was never interrupted, so nothing was tested"
    assert tables_of(tmp_path / "run") == uninterrupted
    assert not list((tmp_path / "run").rglob("*.tmp"))


def test_a_second_run_does_only_what_is_missing(tmp_path):
    experiment = Experiment.parse(
        "task: {name: adding, length: 4}\ncell: rnn\ntraining: {steps: 3}\nevaluation: {sequences:"
        " 5}\nsweep: {seed: [0, 1]}",
        default_name="grow",
    )
    run = RunDirectory(tmp_path / "run")
    assert len(run_sweep(experiment, run, Silent())) == 2
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "run/tables").rglob("*.parquet")}
    assert run_sweep(experiment, run, Silent()) == {}
    grown = Experiment.parse(
        "task: {name: adding, length: 4}\ncell: rnn\ntraining: {steps: 3}\nevaluation: {sequences:"
        " 5}\nsweep: {seed: [0, 1, 2]}",
        default_name="grow",
    )
    assert len(prepare(grown, run, "cpu")) == 1
    assert len(run_sweep(grown, run, Silent())) == 1
    assert all(p.stat().st_mtime_ns == stamp for p, stamp in stamps.items())


def test_a_failing_trial_is_kept_apart_and_costs_no_other(tmp_path, monkeypatch):
    from gradscope.probes.saturation import Saturation

    monkeypatch.setattr(Saturation, "measure", lambda self, trace: 1 / 0)
    experiment = Experiment.parse(
        "task: {name: adding, length: 4}\ncell: rnn\ntraining: {steps: 3}\nevaluation: {sequences:"
        " 5}\nsweep: [{probes: []}, {probes: [saturation]}]",
        default_name="fail",
    )
    run, observer = RunDirectory(tmp_path / "run"), Silent()
    outcomes = run_sweep(experiment, run, observer)
    assert list(outcomes.values()) == ["unsolved", "failed"]
    assert observer.outcomes == outcomes
    (failure,) = run.failures().values()
    assert failure["error"] == "ZeroDivisionError: division by zero"
    assert "Traceback" in failure["traceback"]
    monkeypatch.undo()
    assert list(run_sweep(experiment, run, Silent()).values()) == ["unsolved"]
    assert run.failures() == {}


def test_interrupt_leaves_what_is_recorded(tmp_path):
    experiment = Experiment.parse(
        "task: {name: adding, length: 4}\ncell: rnn\ntraining: {steps: 3}\nevaluation: {sequences:"
        " 5}\nsweep: {seed: [0, 1, 2]}",
        default_name="stop",
    )

    class Impatient(Silent):
        def finished(self, trial, outcome):
            raise KeyboardInterrupt

    run = RunDirectory(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        run_sweep(experiment, run, Impatient())
    assert len(run.done()) == 1
    assert len(run_sweep(experiment, run, Silent())) == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_says_one_line_and_leaves_a_run_to_go_on_with(workers, tmp_path, uninterrupted):
    """SIGINT to the whole process group, as a terminal sends it."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command(tmp_path, workers),
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    run, started = RunDirectory(tmp_path / "run"), time.monotonic()
    while not run.done() and time.monotonic() - started < 60:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    if process.returncode != 0:  # it may have been done already
        assert process.returncode == 130
        assert "interrupted: " in said
        assert "Traceback" not in said
    assert (
        subprocess.run(command(tmp_path, 1), env=environment, capture_output=True).returncode == 0
    )
    assert tables_of(tmp_path / "run") == uninterrupted
