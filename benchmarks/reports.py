"""What a report costs: time and peak memory of `show` and `report` for runs of many trials.

    python -m benchmarks.reports [--case 50] [--folder DIR]

A small run is recorded once (tanh, ReLU, LSTM and GRU on the adding problem); the others are blown
up from it: its tables under new trials' names, every loss and norm shifted a little, so that no two
trials are alike, and gathered as `run` does at its end. Each command is a process of its own, as a
user's would be; its processor time is that of all its processes together.

    50      50 configurations, 3 seeds
    200     200 configurations, 3 seeds
    3000    4 configurations, 750 seeds, and a prediction of one against another
    rows    4 configurations, 5 seeds, 10 million rows of Jacobian norms
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from gradscope.results.gathered import gather
from gradscope.results.manifest import Prediction, TrialEntry
from gradscope.results.preparation import prepare_directory
from gradscope.results.records import RunDirectory

SMALL = """
task: {name: adding, length: 50}
cell: {name: rnn, hidden_size: 32}
training: {steps: 60, batch_size: 16}
evaluation: {every: 10, sequences: 100}
sweep:
  network:
    - {label: tanh, cell: {name: rnn, activation: tanh}}
    - {label: ReLU, cell: {name: rnn, activation: relu}}
    - {label: LSTM, cell: lstm}
    - {label: GRU, cell: gru}
"""
#: columns that a copy shifts
_MEASURED = ("loss", "final_loss", "log_norm", "log_spectral_norm", "grad_norm_preclip")


@dataclass(frozen=True)
class Case:
    """Configurations, seeds of each, and points of the (t, k) grid; 0 leaves the maps alone."""

    configurations: int
    seeds: int
    grid: int = 0


CASES = {
    "50": Case(50, 3),
    "200": Case(200, 3),
    "3000": Case(4, 750),
    "rows": Case(4, 5, 250),
}


def small(folder: Path) -> RunDirectory:
    """The run that others are made from."""
    path = folder / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    command = ["run", str(path), "--out", str(folder / "small"), "--no-report", "--yes"]
    subprocess.run([sys.executable, "-m", "gradscope", *command], check=True, capture_output=True)
    return RunDirectory(folder / "small")


def blown_up(small: RunDirectory, case: Case, path: Path) -> RunDirectory:
    """A run of the case's size."""
    templates = [trial for trial in small.manifest().trials if trial.id in small.done()]
    ids = [template.id for template in templates]
    tables = {name: small.read(name, ids).to_pandas() for name in small.tables()}
    entries, of = [], {}
    for place in range(case.configurations):
        template = templates[place % len(templates)]
        width = place // len(templates)
        for seed in range(case.seeds):
            trial = f"{place:04d}x{seed:04d}"
            entries.append(
                TrialEntry(
                    id=trial,
                    configuration=f"{template.configuration} · {width}",
                    axes={
                        "network": template.configuration,
                        "width": str(width),
                        "seed": str(seed),
                    },
                    settings={**template.settings, "seed": seed},
                )
            )
            of[trial] = template.id
    claim = Prediction(
        claim="one learns more", measure="final_loss", configuration="LSTM · 0", below="tanh · 0"
    )
    wanted = small.manifest().model_copy(update={"trials": entries, "expect": [claim]})
    run = RunDirectory(path)
    prepare_directory(run, wanted, "cpu")
    chance = np.random.default_rng(0)
    for trial, template in of.items():
        contents = {}
        for name, frame in tables.items():
            rows = frame[frame["trial"] == template].drop(columns="trial")
            if name == "jacobian_norms" and case.grid:
                rows = _map(case.grid)
            shifted = {
                column: rows[column] * (1 + 0.05 * chance.standard_normal())
                for column in _MEASURED
                if column in rows
            }
            contents[name] = rows.assign(**shifted).to_dict("list")
        run.write_trial(trial, contents, {"total": 1.0})
    gather(run)
    return run


def _map(points: int) -> pd.DataFrame:
    """Norms over a full (t, k) grid, at eight train steps, of both blocks."""
    t, k = np.tril_indices(points)
    parts = [
        pd.DataFrame(
            {
                "train_step": 10 * step,
                "t": t,
                "k": k,
                "lag": t - k,
                "sequence": 0,
                "block": block,
                "log_spectral_norm": -0.01 * (1 + step) * (t - k),
                "log_frobenius_norm": -0.01 * (1 + step) * (t - k) + 1.0,
            }
        )
        for step in range(8)
        for block in ("state", "hidden")
    ]
    return pd.concat(parts, ignore_index=True)


def timed(command: list[str]) -> tuple[float, float, float]:
    """Seconds, those of processors, and MiB at the peak of a command of gradscope."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "gradscope", *command], stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    seconds = time.perf_counter() - began
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=list(CASES), action="append")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        template = None
        print(f"{'case':>6} {'command':>8} {'seconds':>8} {'cpu':>6} {'MiB':>7} {'page, MB':>9}")
        for name in options.case or CASES:
            path = folder / name
            if not path.exists():
                template = template or small(folder)
                blown_up(template, CASES[name], path)
            for command in ("show", "report"):
                seconds, cpu, memory = timed([command, str(path)])
                size = (path / "index.html").stat().st_size / 1e6 if command == "report" else 0.0
                costs = f"{seconds:8.1f} {cpu:6.1f} {memory:7.0f} {size:9.1f}"
                print(f"{name:>6} {command:>8} {costs}", flush=True)


if __name__ == "__main__":
    main()
