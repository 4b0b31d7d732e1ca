"""Sweeps: the same tables whatever kills, resumes or shares the work."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from gradscope.experiment import Experiment
from gradscope.experiment.run import manifest_of, prepare, run_sweep
from gradscope.probes.saturation import Saturation
from gradscope.results.files import _host
from gradscope.results.records import RunDirectory
from tests.conftest import Silent

TEXT = """
task: {name: temporal_order, length: 12}
cell: {name: gru, hidden_size: 8}
training: {steps: 40, batch_size: 8}
evaluation: {every: 10, sequences: 50}
sweep: {cell.name: [rnn, lstm, gru], seed: [0, 1, 2]}
"""
EXPERIMENT = Experiment.parse(TEXT, default_name="killed")


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


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    path = tmp_path_factory.mktemp("sweep") / "whole"
    run_sweep(EXPERIMENT, RunDirectory(path), Silent())
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
    """SIGKILL to the whole process group, twice; resumed, the tables are an uninterrupted run's."""
    chance, environment = random.Random(workers), {**os.environ, "OMP_NUM_THREADS": "1"}
    kills = 0
    run = RunDirectory(tmp_path / "run")
    for _ in range(2):
        process = subprocess.Popen(
            command(tmp_path, workers),
            env=environment,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        started, done = time.monotonic(), run.done()
        # let it record something new before the kill, then a random moment more
        while process.poll() is None and time.monotonic() - started < 60:
            if run.done() - done:
                time.sleep(chance.uniform(0, 0.4))
                break
            time.sleep(0.01)
        kills += process.poll() is None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert kills >= 1, "the run was never interrupted, so nothing was tested"
    missing = len(EXPERIMENT.trials) - len(run.done())
    assert len(run_sweep(EXPERIMENT, run, Silent())) == missing
    assert tables_of(tmp_path / "run") == uninterrupted
    assert not list((tmp_path / "run").rglob("*.tmp"))


def small(sweep: str) -> Experiment:
    return Experiment.parse(
        "task: {name: adding, length: 4}\ncell: rnn\ntraining: {steps: 3}\n"
        f"evaluation: {{sequences: 5}}\nsweep: {sweep}",
        default_name="small",
    )


def test_the_manifest_says_in_words_what_was_asked():
    experiment = Experiment.parse(
        "question: which?\nfigures: [learning_curves]\ncell: rnn\nsweep:\n"
        "  task: [{name: adding, length: 4}, {name: adding, length: 5}, char_lm]\nexpect:\n"
        "  - {claim: c, measure: final_loss, configuration: char_lm, below: 3}"
    )
    manifest = manifest_of(experiment)
    assert manifest.question == "which?"
    assert set(manifest.tasks) == {"adding", "char_lm"}
    adding, characters = manifest.tasks["adding"], manifest.tasks["char_lm"]
    assert adding.about.startswith("Add the two marked numbers")
    assert adding.wrong.startswith("An error above 0.04")
    assert "below 0.01" in adding.criterion
    assert characters.measures["bits_per_character"] == ("bits per character", "")
    assert manifest.figures[0]["name"] == "learning_curves"
    assert [(p.measure, p.below) for p in manifest.expect] == [("final_loss", 3.0)]
    for entry, trial in zip(manifest.trials, experiment.trials, strict=True):
        assert entry.id == trial.id
        assert entry.settings == trial.resolved
    assert manifest.plugins == []


def test_a_second_run_does_only_what_is_missing(tmp_path):
    experiment = small("{seed: [0, 1]}")
    run = RunDirectory(tmp_path / "run")
    assert len(run_sweep(experiment, run, Silent())) == 2
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "run/tables").rglob("*.parquet")}
    assert run_sweep(experiment, run, Silent()) == {}
    grown = small("{seed: [0, 1, 2]}")
    assert len(prepare(grown, run, "cpu").missing) == 1
    assert len(run_sweep(grown, run, Silent())) == 1
    assert all(p.stat().st_mtime_ns == stamp for p, stamp in stamps.items())


def test_a_failing_trial_is_kept_apart_and_costs_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(Saturation, "measure", lambda self, trace: 1 / 0)
    experiment = small("[{probes: []}, {probes: [saturation]}]")
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
    experiment = small("{seed: [0, 1, 2]}")

    class Impatient(Silent):
        def finished(self, trial, outcome):
            raise KeyboardInterrupt

    run = RunDirectory(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        run_sweep(experiment, run, Impatient())
    assert len(run.done()) == 1
    assert len(run_sweep(experiment, run, Silent())) == 2


def test_what_a_worker_leaves_that_dies_meanwhile_is_removed(tmp_path):
    run = RunDirectory(tmp_path / "run")

    class Dying(Silent):
        def finished(self, trial, outcome):
            write_temporary(run.path / "tables")

    def write_temporary(folder):
        (folder / f".x.parquet.12345678.{_host()}-999999999.tmp").write_text("half")

    run_sweep(small("{seed: [0]}"), run, Dying())
    assert not list(run.path.rglob("*.tmp"))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("sent", ["SIGINT to all", "SIGTERM to the driver"])
def test_an_interrupt_says_one_line_and_leaves_a_run_to_go_on_with(
    sent, workers, tmp_path, uninterrupted
):
    """SIGINT to the whole process group, as a terminal sends it, or SIGTERM as a scheduler does.

    No worker outlives the driver.
    """
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
    started_by_it = []
    with contextlib.suppress(psutil.NoSuchProcess):  # it may have been done already
        started_by_it = psutil.Process(process.pid).children(recursive=True)
    if sent == "SIGINT to all":
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.terminate()
    _, said = process.communicate(timeout=60)
    assert not psutil.wait_procs(started_by_it, timeout=10)[1]
    if process.returncode != 0:  # it may have been done already
        assert process.returncode == 130
        assert "interrupted: " in said
        assert "Traceback" not in said
    run_sweep(EXPERIMENT, run, Silent())
    assert tables_of(tmp_path / "run") == uninterrupted
